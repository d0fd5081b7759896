"""Calls are retried during outages of the stores until they succeed or the attempt must stop."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Conflict, Corrupt, DatabaseUnavailable, Draining, ObjectsUnavailable, TidepoolError
from services.storage.memory_objects import MemoryObjects
from worker import retries
from worker.retries import RetryingObjects, retry_outages


class FlakyObjects(MemoryObjects):
    """Objects whose next `outages` calls fail half-way."""

    def __init__(self) -> None:
        super().__init__()
        self.outages = 0

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        self._fail()
        return super().put(bucket, key, source)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        first = stream.read(2)
        self._fail()
        return self.put(bucket, key, first + stream.read())

    def read(self, ref: ObjectRef) -> bytes:
        self._fail()
        return super().read(ref)

    def _fail(self) -> None:
        if self.outages:
            self.outages -= 1
            raise ObjectsUnavailable("away")


class Flaky:
    """An action that fails once with each error, then succeeds."""

    def __init__(self, *errors: TidepoolError) -> None:
        self.calls = 0
        self._errors = list(errors)

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0)


def stop() -> None:
    raise Draining("the worker is shutting down")


def keep_running() -> None:
    return None


def test_an_action_is_retried_until_the_outage_is_over() -> None:
    act = Flaky(DatabaseUnavailable("away"), ObjectsUnavailable("away"), DatabaseUnavailable("away"))

    assert retry_outages(act) == "done"

    assert act.calls == 4


@pytest.mark.parametrize("error", [Corrupt("a bit flipped"), Conflict("another writer was faster")])
def test_other_errors_are_raised_at_once(error: TidepoolError) -> None:
    act = Flaky(error)

    with pytest.raises(type(error)):
        retry_outages(act)

    assert act.calls == 1


def test_a_request_to_stop_ends_the_retries() -> None:
    act = Flaky(DatabaseUnavailable("away"), DatabaseUnavailable("away"))

    with pytest.raises(Draining):
        retry_outages(act, stop)

    assert act.calls == 1


def test_a_successful_action_is_not_interrupted_by_a_request_to_stop() -> None:
    assert retry_outages(Flaky(), stop) == "done"


def test_an_outage_longer_than_the_retries_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "RETRY_FOR_S", -1)

    with pytest.raises(DatabaseUnavailable):
        retry_outages(Flaky(DatabaseUnavailable("away"), DatabaseUnavailable("away")))


def test_object_store_calls_are_retried_during_outages(tmp_path: Path) -> None:
    # given
    flaky = FlakyObjects()
    objects = RetryingObjects(flaky, keep_running)
    (tmp_path / "x").write_bytes(b"hello")
    ref = flaky.put(Bucket.JOBS, "x", b"hello")
    uses: list[Callable[[], object]] = [
        lambda: objects.put(Bucket.JOBS, "x", b"hello"),
        lambda: objects.put(Bucket.JOBS, "x", tmp_path / "x"),
        lambda: objects.put_stream(Bucket.JOBS, "x", io.BytesIO(b"hello")),
    ]

    # then each failed call is repeated from its beginning
    for put in uses:
        flaky.outages = 2
        assert put() == ref
        assert flaky.outages == 0
    flaky.outages = 2
    assert objects.read(ref) == b"hello"
    flaky.outages = 2
    objects.fetch(ref, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"hello"


def test_a_request_to_stop_ends_the_retries_of_object_store_calls(tmp_path: Path) -> None:
    # given
    flaky = FlakyObjects()
    objects = RetryingObjects(flaky, stop)
    ref = flaky.put(Bucket.JOBS, "x", b"hello")
    uses: list[Callable[[], object]] = [
        lambda: objects.put(Bucket.JOBS, "y", b"hello"),
        lambda: objects.put_stream(Bucket.JOBS, "y", io.BytesIO(b"hello")),
        lambda: objects.read(ref),
        lambda: objects.fetch(ref, tmp_path / "fetched"),
    ]

    # then
    for use in uses:
        flaky.outages = 2
        with pytest.raises(Draining):
            use()
        assert flaky.outages == 1
    assert list(flaky.content) == [(Bucket.JOBS, "x")]


def test_calls_in_other_threads_are_not_retried_and_leave_the_request_to_stop() -> None:
    flaky = FlakyObjects()
    ref = flaky.put(Bucket.JOBS, "key", b"data")
    retrying = RetryingObjects(flaky, lambda: pytest.fail("asked for a stop"))

    flaky.outages = 1
    with ThreadPoolExecutor(1) as pool:
        error = pool.submit(retrying.read, ref).exception()

    assert isinstance(error, ObjectsUnavailable)
    assert retrying.read(ref) == b"data"
