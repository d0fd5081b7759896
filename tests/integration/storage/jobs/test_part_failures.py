"""How the end of a job affects its parts, and the failure of a part its job."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from contract.division import PartDone
from contract.errors import BadImage, Cancelled, LeaseLost, TidepoolError
from contract.jobs import JobKind, JobState
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.parts import Parts
from services.storage.jobs.rows import LEASE, Lease
from services.storage.sweep.reconciler import Reconciler
from tests.examples import ONNX_FILE, PREPROCESS_REQUEST, PROGRESS
from tests.integration.storage.steps import claimed, divided, together
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1
DONE = PartDone(result={})


def states(database: Database, parent_id: str) -> list[str]:
    """The states of a job's parts, in their order."""
    query = select(tables.jobs.c.state).where(tables.jobs.c.parent_id == parent_id).order_by(tables.jobs.c.part)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def test_a_part_that_fails_for_good_fails_its_job(
    jobs: Jobs, leases: Leases, parts: Parts, database: Database, clock: FakeClock
) -> None:
    # given a job with a finished, a running and a waiting part
    job = divided(database, 4)
    done, bad, running = (claimed(leases).lease for _ in range(3))
    parts.finish(done, DONE)
    clock.tick(5)

    # when
    leases.fail(bad, BadImage("cat/1.png is damaged"))

    # then the job has failed with that error, the queued part cannot be claimed, and the running one is cancelled
    failed = jobs.get(job.id)
    assert (failed.state, failed.finished_at) == (JobState.FAILED, clock.now)
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("bad_image", "part 2: cat/1.png is damaged")
    assert states(database, job.id) == ["succeeded", "failed", "running", "cancelled"]
    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    with pytest.raises(Cancelled):
        leases.renew(running, PROGRESS)
    with pytest.raises(Cancelled):
        parts.finish(running, DONE)
    leases.cancelled(running)
    assert jobs.get(job.id) == failed


def test_a_part_that_keeps_losing_its_worker_fails_its_job(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    # given a job with a part that kills every worker
    job = divided(database, 2)
    for _ in range(job.max_attempts):
        assert claimed(leases).part == {"number": 0}
        assert jobs.get(job.id).state == JobState.RUNNING
        clock.tick(EXPIRED_S)

    # when
    assert reconciler.repair().failed == 1

    # then
    failed = jobs.get(job.id)
    assert failed.state == JobState.FAILED
    assert failed.error is not None
    assert (failed.error.code, failed.error.message[:8]) == ("worker_lost", "part 1: ")
    assert states(database, job.id) == ["failed", "cancelled"]


def test_cancelling_a_job_stops_its_parts(
    jobs: Jobs, leases: Leases, parts: Parts, database: Database, clock: FakeClock
) -> None:
    # given
    job = divided(database, 3)
    done, running = (claimed(leases).lease for _ in range(2))
    parts.finish(done, DONE)

    # when
    cancelled = jobs.cancel(job.id)

    # then the job and its queued part are cancelled at once, as no worker holds them
    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, clock.now)
    assert states(database, job.id) == ["succeeded", "running", "cancelled"]
    with pytest.raises(Cancelled):
        leases.renew(running, PROGRESS)
    with pytest.raises(Cancelled):
        parts.finish(running, DONE)
    leases.cancelled(running)
    assert states(database, job.id) == ["succeeded", "cancelled", "cancelled"]
    assert jobs.get(job.id) == cancelled


def test_a_part_of_a_cancelled_job_ends_even_if_its_worker_does_not_obey(
    jobs: Jobs, leases: Leases, parts: Parts, reconciler: Reconciler, database: Database
) -> None:
    job = divided(database, 1)
    running = claimed(leases).lease
    jobs.cancel(job.id)

    assert reconciler.repair().cancelled == 1

    assert states(database, job.id) == ["cancelled"]
    with pytest.raises(LeaseLost):
        parts.finish(running, DONE)


def test_a_job_past_its_deadline_expires_with_its_parts(
    jobs: Jobs, leases: Leases, parts: Parts, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    # given
    job = divided(database, 3, PREPROCESS_REQUEST.model_copy(update={"deadline_s": 10}))
    done, running = (claimed(leases).lease for _ in range(2))
    parts.finish(done, DONE)
    clock.tick(11)

    # when
    reconciler.repair()

    # then
    expired = jobs.get(job.id)
    assert (expired.state, expired.error and expired.error.code) == (JobState.EXPIRED, "expired")
    assert states(database, job.id) == ["succeeded", "expired", "expired"]
    with pytest.raises(LeaseLost):
        parts.finish(running, DONE)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


CHANGES: dict[str, Callable[[Leases, Parts, Lease], object]] = {
    "finish": lambda leases, parts, lease: parts.finish(lease, DONE),
    "fail": lambda leases, parts, lease: leases.fail(lease, BadImage("damaged")),
    "checkpoint": lambda leases, parts, lease: leases.save_checkpoint(lease, ONNX_FILE, {"epoch": 1}),
    "log": lambda leases, parts, lease: leases.log(lease, "a line"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_part_finishes_while_its_job_is_cancelled_without_a_deadlock(
    jobs: Jobs, leases: Leases, parts: Parts, database: Database, change: Callable[[Leases, Parts, Lease], object]
) -> None:
    for _ in range(5):
        # given a job with a single, running part
        job = divided(database, 1)
        lease = claimed(leases).lease

        # when
        def act(index: int, job_id: str = job.id, lease: Lease = lease) -> TidepoolError | None:
            try:
                jobs.cancel(job_id) if index else change(leases, parts, lease)
            except TidepoolError as error:
                return error
            return None

        changed, cancelled = together(2, act)

        # then one of them came first, and there was no deadlock
        assert changed is None or isinstance(changed, Cancelled)
        assert cancelled is None or cancelled.code == "conflict"
        assert jobs.get(job.id).state == (JobState.FAILED if cancelled else JobState.CANCELLED)
