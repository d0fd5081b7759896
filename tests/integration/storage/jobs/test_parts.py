"""Jobs that divide: how parts are given out and counted in."""

import pytest
from sqlalchemy import select

from contract.division import Division, PartDone
from contract.errors import Cancelled, Corrupt, LeaseLost, NotFound
from contract.jobs import JobKind, JobState
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import BACKOFF_S, Leases
from services.storage.jobs.parts import SHARE, Parts
from services.storage.jobs.rows import LEASE, Lease
from services.storage.sweep.reconciler import Reconciler
from tests.examples import DATASET_MANIFEST, ONNX_FILE, PREPROCESS_REQUEST, PROGRESS
from tests.integration.storage.steps import claimed, divided, together
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1
TWO = Division(parts=({"number": 0}, {"number": 1}))
DONE = PartDone(result={})


def rows(database: Database, parent_id: str) -> list[str]:
    """The ids of a job's parts."""
    with database.read() as connection:
        return list(connection.execute(select(tables.jobs.c.id).where(tables.jobs.c.parent_id == parent_id)).scalars())


def wakeups(database: Database, job_id: str) -> int:
    """How many wakeups for a job are in the outbox."""
    with database.read() as connection:
        return len(connection.execute(select(tables.outbox).where(tables.outbox.c.job_id == job_id)).all())


def test_each_part_is_given_to_one_worker(jobs: Jobs, leases: Leases, database: Database) -> None:
    # given
    job = divided(database, 3)

    # when
    claims = [claimed(leases) for _ in range(3)]

    # then each is the same job with another thing to do, and nobody gets the job itself
    assert [claim.part for claim in claims] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert [claim.job for claim in claims] == [jobs.get(job.id)] * 3
    assert {claim.lease.root for claim in claims} == {job.id}
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_a_part_is_as_old_and_as_urgent_as_its_job(jobs: Jobs, leases: Leases, parts: Parts) -> None:
    # given a job that divides after another has come, and an urgent one after that
    first, second = (jobs.create(PREPROCESS_REQUEST) for _ in range(2))
    parts.divide(claimed(leases).lease, TWO)
    urgent = jobs.create(PREPROCESS_REQUEST.model_copy(update={"priority": 1}))

    # when
    taken = [claimed(leases) for _ in range(4)]

    # then
    assert [(claim.job.id, claim.part) for claim in taken] == [
        (urgent.id, None),
        (first.id, {"number": 0}),
        (first.id, {"number": 1}),
        (second.id, None),
    ]


def test_the_last_part_lets_the_job_go_on(jobs: Jobs, leases: Leases, parts: Parts, database: Database) -> None:
    # given a job of three parts
    job = divided(database, 3)
    leases_given = [claimed(leases).lease for _ in range(3)]

    # when the first two to finish are the last two
    for number in (2, 1):
        parts.finish(leases_given[number], PartDone(result={"number": number}))

    # then it still waits, and shows how far it is
    waiting = jobs.get(job.id)
    assert waiting.state == JobState.RUNNING
    assert waiting.progress.fraction == pytest.approx(SHARE * 2 / 3)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None

    # when the third has finished too
    parts.finish(leases_given[0], PartDone(result={"number": 0}))

    # then the job is claimed with what the parts came to, in their order, and no failure is charged
    claim = claimed(leases)
    assert (claim.job.id, claim.job.attempt, claim.part) == (job.id, 1, None)
    assert claim.parts == ({"number": 0}, {"number": 1}, {"number": 2})
    assert leases.finish(claim.lease, DATASET_MANIFEST).state == JobState.SUCCEEDED


def test_parts_that_finish_at_once_let_the_job_go_on_once(leases: Leases, parts: Parts, database: Database) -> None:
    # given a job whose own wakeup is in the outbox
    job = divided(database, 6)
    leases_given = [claimed(leases).lease for _ in range(6)]
    assert wakeups(database, job.id) == 1

    # when
    together(6, lambda index: parts.finish(leases_given[index], DONE))

    # then
    assert wakeups(database, job.id) == 2
    assert claimed(leases).parts == ({},) * 6
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_bells_ring_for_every_part_and_then_for_the_job(
    leases: Leases, parts: Parts, reconciler: Reconciler, database: Database
) -> None:
    job = divided(database, 2)
    woken: list[str] = []
    reconciler.relay(lambda kind, job_id: woken.append(job_id))
    for _ in range(2):
        parts.finish(claimed(leases).lease, DONE)
    reconciler.relay(lambda kind, job_id: woken.append(job_id))

    assert woken == [job.id, *rows(database, job.id), job.id]


def test_parts_are_nobodys_business(jobs: Jobs, database: Database) -> None:
    job = divided(database, 2)

    assert [listed.id for listed in jobs.list(JobFilter(), 10).items] == [job.id]
    for part in rows(database, job.id):
        for look in (jobs.get, jobs.cancel, jobs.retry, jobs.output):
            with pytest.raises(NotFound):
                look(part)


def test_a_division_is_made_once(
    leases: Leases, parts: Parts, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    # given a worker that does not know that its division was written
    job = divided(database, 2)
    attempt = Lease(job.id, 1)

    # when it tries again, and when it renews its lease
    with pytest.raises(LeaseLost):
        parts.divide(attempt, TWO)
    with pytest.raises(LeaseLost):
        leases.renew(attempt, PROGRESS)

    # then there is one division, and the waiting job has no lease that could run out
    clock.tick(LEASE.total_seconds())
    assert len(rows(database, job.id)) == 2
    assert reconciler.repair().requeued == 0


def test_a_stale_attempt_divides_nothing(jobs: Jobs, leases: Leases, parts: Parts, database: Database) -> None:
    # given an attempt whose job moved on
    job = jobs.create(PREPROCESS_REQUEST)
    stale = claimed(leases).lease
    leases.release(stale)
    current = claimed(leases).lease

    # when
    with pytest.raises(LeaseLost):
        parts.divide(stale, TWO)

    # then
    assert rows(database, job.id) == []
    leases.renew(current, PROGRESS)


def test_a_cancelled_job_does_not_divide(jobs: Jobs, leases: Leases, parts: Parts, database: Database) -> None:
    job = jobs.create(PREPROCESS_REQUEST)
    lease = claimed(leases).lease
    jobs.cancel(job.id)

    with pytest.raises(Cancelled):
        parts.divide(lease, TWO)

    assert rows(database, job.id) == []


def test_an_abandoned_part_goes_to_another_worker(
    jobs: Jobs, leases: Leases, parts: Parts, database: Database, clock: FakeClock
) -> None:
    # given a part whose worker left a checkpoint and fell silent
    job = divided(database, 1)
    first = claimed(leases)
    leases.save_checkpoint(first.lease, ONNX_FILE)
    clock.tick(EXPIRED_S)

    # when
    second = claimed(leases)

    # then it resumes under a higher fence, and only it is counted in
    assert (second.lease.job_id, second.lease.fence) == (first.lease.job_id, first.lease.fence + 1)
    assert (second.part, second.checkpoint) == ({"number": 0}, ONNX_FILE)
    with pytest.raises(LeaseLost):
        parts.finish(first.lease, DONE)
    assert jobs.get(job.id).state == JobState.RUNNING
    parts.finish(second.lease, DONE)
    assert jobs.get(job.id).state == JobState.QUEUED


def test_a_part_is_counted_in_once(leases: Leases, parts: Parts, database: Database) -> None:
    divided(database, 2)
    lease = claimed(leases).lease
    parts.finish(lease, DONE)

    with pytest.raises(LeaseLost):
        parts.finish(lease, DONE)

    assert claimed(leases).part == {"number": 1}


def test_a_part_that_is_given_back_goes_on_at_once_and_costs_no_attempt(
    leases: Leases, reconciler: Reconciler, database: Database
) -> None:
    # given
    job = divided(database, 1)
    reconciler.relay(lambda kind, job_id: None)

    # when it is given back more often than it may fail
    for _ in range(job.max_attempts + 1):
        leases.release(claimed(leases).lease)
        assert reconciler.repair().woken == 1
        reconciler.relay(lambda kind, job_id: None)

    # then
    assert claimed(leases).part == {"number": 0}


def test_a_part_that_may_succeed_next_time_waits_alone(
    jobs: Jobs, leases: Leases, database: Database, clock: FakeClock
) -> None:
    job = divided(database, 2)

    leases.fail(claimed(leases).lease, Corrupt("a bit flipped"))

    assert (jobs.get(job.id).state, jobs.get(job.id).error) == (JobState.RUNNING, None)
    assert claimed(leases).part == {"number": 1}
    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    clock.tick(BACKOFF_S)
    assert claimed(leases).part == {"number": 0}
