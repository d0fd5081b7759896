"""An attempt reads the requests of its worker process."""

import errno
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.division import Outcome
from contract.errors import Draining, ObjectsUnavailable
from contract.jobs import JobKind
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from tests.examples import TRAIN_REQUEST
from worker import retries
from worker.attempt import Attempt, StopEarly, _run
from worker.task import Task


@pytest.fixture
def claim(stores: Stores) -> Claim:
    stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim(JobKind.TRAIN, "worker")
    assert claim is not None
    return claim


@pytest.fixture
def attempt(stores: Stores, claim: Claim, pipe: tuple[Connection, Connection], tmp_path: Path) -> Attempt:
    return Attempt(claim, stores, tmp_path, pipe[1])


@pytest.fixture
def pipe() -> tuple[Connection, Connection]:
    """The worker's end and the attempt's end."""
    return Pipe()


def test_an_attempt_stops_early_when_it_is_asked_to(attempt: Attempt, pipe: tuple[Connection, Connection]) -> None:
    assert not attempt.stop_early

    pipe[0].send(StopEarly())

    attempt.check_stop()
    assert attempt.stop_early


def test_a_drain_is_raised_by_the_next_check_only(attempt: Attempt, pipe: tuple[Connection, Connection]) -> None:
    pipe[0].send(StopEarly())
    pipe[0].send(Draining("the worker is shutting down"))

    assert attempt.stop_early
    with pytest.raises(Draining):
        attempt.check_stop()
    attempt.check_stop()


def test_a_later_attempt_stops_early_from_its_start(
    stores: Stores, claim: Claim, pipe: tuple[Connection, Connection], tmp_path: Path
) -> None:
    kept = Claim(claim.job, claim.lease, keep_best=True)

    assert Attempt(kept, stores, tmp_path, pipe[1]).stop_early


def test_a_checkpoint_saved_in_a_thread_outlasts_an_outage(
    stores: Stores, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, errors = stores.objects.put, [ObjectsUnavailable("away")]

    def flaky(bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        if errors:
            raise errors.pop()
        return put(bucket, key, source)

    monkeypatch.setattr(retries, "PAUSE_S", 0)
    monkeypatch.setattr(stores.objects, "put", flaky)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(attempt.save_checkpoint, "checkpoint", b"weights").result()

    assert attempt.checkpoint is not None
    assert stores.objects.read(attempt.checkpoint) == b"weights"


def test_a_full_disk_fails_the_job_with_what_to_do(stores: Stores, claim: Claim, attempt: Attempt) -> None:
    def handler(_: Task) -> Outcome:
        raise OSError(errno.ENOSPC, "No space left on device", "/scratch/secret")

    assert _run(handler, attempt, stores, claim.lease) == "job_failed"

    error = stores.of(DEFAULT_PROJECT).jobs.get(claim.job.id).error
    assert error is not None
    assert error.message.startswith("the disk of the worker is full; free space in the folder TIDEPOOL_SCRATCH")
    assert "secret" not in error.message
