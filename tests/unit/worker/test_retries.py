"""Outages of the stores pass by an attempt, unless it must stop."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from contract.artifacts import Bucket, ObjectRef
from contract.errors import Conflict, Corrupt, DatabaseUnavailable, Draining, ObjectsUnavailable, TidepoolError
from services.storage.memory_objects import MemoryObjects
from worker import retries
from worker.retries import RetryingObjects, retry_outages


class FlakyObjects(MemoryObjects):
    """Objects that are away for the next `outages` calls, in the middle of each."""

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
    """An action that fails with one error after the other, and then succeeds."""

    def __init__(self, *errors: TidepoolError) -> None:
        self.calls = 0
        self._errors = list(errors)

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PAUSE_S", 0)


def stop() -> None:
    raise Draining("the worker is going away")


def go_on() -> None:
    return None


def test_outages_pass() -> None:
    act = Flaky(DatabaseUnavailable("away"), ObjectsUnavailable("away"), DatabaseUnavailable("away"))

    assert retry_outages(act) == "done"

    assert act.calls == 4


@pytest.mark.parametrize("error", [Corrupt("a bit flipped"), Conflict("somebody else was faster")])
def test_what_is_no_outage_is_raised_at_once(error: TidepoolError) -> None:
    act = Flaky(error)

    with pytest.raises(type(error)):
        retry_outages(act)

    assert act.calls == 1


def test_whoever_must_stop_waits_for_no_outage() -> None:
    act = Flaky(DatabaseUnavailable("away"), DatabaseUnavailable("away"))

    with pytest.raises(Draining):
        retry_outages(act, stop)

    assert act.calls == 1


def test_what_succeeds_is_done_also_when_it_must_stop() -> None:
    assert retry_outages(Flaky(), stop) == "done"


def test_an_outage_that_does_not_end_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "PATIENCE_S", -1)

    with pytest.raises(DatabaseUnavailable):
        retry_outages(Flaky(DatabaseUnavailable("away"), DatabaseUnavailable("away")))


def test_objects_are_written_and_read_through_outages(tmp_path: Path) -> None:
    # given
    flaky = FlakyObjects()
    objects = RetryingObjects(flaky, go_on)
    (tmp_path / "x").write_bytes(b"hello")
    ref = flaky.put(Bucket.JOBS, "x", b"hello")
    uses: list[Callable[[], object]] = [
        lambda: objects.put(Bucket.JOBS, "x", b"hello"),
        lambda: objects.put(Bucket.JOBS, "x", tmp_path / "x"),
        lambda: objects.put_stream(Bucket.JOBS, "x", io.BytesIO(b"hello")),
    ]

    # then whatever fails is done again from its beginning
    for put in uses:
        flaky.outages = 2
        assert put() == ref
        assert flaky.outages == 0
    flaky.outages = 2
    assert objects.read(ref) == b"hello"
    flaky.outages = 2
    objects.fetch(ref, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"hello"


def test_objects_are_no_reason_to_stay(tmp_path: Path) -> None:
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
