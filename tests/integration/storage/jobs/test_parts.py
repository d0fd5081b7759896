"""Divided jobs: how parts are claimed, and how their end is counted."""

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


def wake_ups(database: Database, job_id: str) -> int:
    """The number of a job's wake-up messages in the outbox."""
    with database.read() as connection:
        return len(connection.execute(select(tables.outbox).where(tables.outbox.c.job_id == job_id)).all())


def test_each_part_is_claimed_by_one_worker(jobs: Jobs, leases: Leases, database: Database) -> None:
    # given
    job = divided(database, 3)

    # when
    claims = [claimed(leases) for _ in range(3)]

    # then each claim has the same job and another part, and the job itself cannot be claimed
    assert [claim.part for claim in claims] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert [claim.job for claim in claims] == [jobs.get(job.id)] * 3
    assert {claim.lease.root for claim in claims} == {job.id}
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_a_part_has_the_age_and_priority_of_its_job(jobs: Jobs, leases: Leases, parts: Parts) -> None:
    # given a job that divides after a second was created, and then an urgent third one
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


def test_the_last_part_queues_its_job_again(jobs: Jobs, leases: Leases, parts: Parts, database: Database) -> None:
    # given a job of three parts
    job = divided(database, 3)
    claimed_leases = [claimed(leases).lease for _ in range(3)]

    # when the first two to finish are the last two
    for number in (2, 1):
        parts.finish(claimed_leases[number], PartDone(result={"number": number}))

    # then it still waits, and shows its progress
    waiting = jobs.get(job.id)
    assert waiting.state == JobState.RUNNING
    assert waiting.progress.fraction == pytest.approx(SHARE * 2 / 3)
    assert leases.claim(JobKind.PREPROCESS, "worker") is None

    # when the third has finished too
    parts.finish(claimed_leases[0], PartDone(result={"number": 0}))

    # then the job is claimed with the results of its parts, in their order, and no failure is charged
    claim = claimed(leases)
    assert (claim.job.id, claim.job.attempt, claim.part) == (job.id, 1, None)
    assert claim.parts == ({"number": 0}, {"number": 1}, {"number": 2})
    assert leases.finish(claim.lease, DATASET_MANIFEST).state == JobState.SUCCEEDED


def test_parts_that_finish_concurrently_queue_their_job_once(leases: Leases, parts: Parts, database: Database) -> None:
    # given a job whose own wake-up message is in the outbox
    job = divided(database, 6)
    claimed_leases = [claimed(leases).lease for _ in range(6)]
    assert wake_ups(database, job.id) == 1

    # when
    together(6, lambda index: parts.finish(claimed_leases[index], DONE))

    # then
    assert wake_ups(database, job.id) == 2
    assert claimed(leases).parts == ({},) * 6
    assert leases.claim(JobKind.PREPROCESS, "worker") is None


def test_a_wake_up_message_is_sent_for_every_part_and_then_for_the_job(
    leases: Leases, parts: Parts, reconciler: Reconciler, database: Database
) -> None:
    job = divided(database, 2)
    woken: list[str] = []
    reconciler.relay(lambda kind, job_id: woken.append(job_id))
    for _ in range(2):
        parts.finish(claimed(leases).lease, DONE)
    reconciler.relay(lambda kind, job_id: woken.append(job_id))

    assert woken == [job.id, *rows(database, job.id), job.id]


def test_clients_do_not_see_parts(jobs: Jobs, database: Database) -> None:
    job = divided(database, 2)

    assert [listed.id for listed in jobs.list(JobFilter(), 10).items] == [job.id]
    for part in rows(database, job.id):
        for look in (jobs.get, jobs.cancel, jobs.retry, jobs.output):
            with pytest.raises(NotFound):
                look(part)


def test_a_job_is_divided_once(
    leases: Leases, parts: Parts, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    # given a worker that did not get the reply to its division
    job = divided(database, 2)
    attempt = Lease(job.id, 1)

    # when it tries again, and when it renews its lease
    with pytest.raises(LeaseLost):
        parts.divide(attempt, TWO)
    with pytest.raises(LeaseLost):
        leases.renew(attempt, PROGRESS)

    # then there is one division, and the waiting job has no lease that could expire
    clock.tick(LEASE.total_seconds())
    assert len(rows(database, job.id)) == 2
    assert reconciler.repair().requeued == 0


def test_a_stale_attempt_cannot_divide_its_job(jobs: Jobs, leases: Leases, parts: Parts, database: Database) -> None:
    # given an attempt that has lost its lease
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


def test_an_abandoned_part_is_claimed_by_another_worker(
    jobs: Jobs, leases: Leases, parts: Parts, database: Database, clock: FakeClock
) -> None:
    # given a part whose worker saved a checkpoint and stopped renewing
    job = divided(database, 1)
    first = claimed(leases)
    leases.save_checkpoint(first.lease, ONNX_FILE)
    clock.tick(EXPIRED_S)

    # when
    second = claimed(leases)

    # then it resumes under a higher fence, and only the second attempt counts
    assert (second.lease.job_id, second.lease.fence) == (first.lease.job_id, first.lease.fence + 1)
    assert (second.part, second.checkpoint) == ({"number": 0}, ONNX_FILE)
    with pytest.raises(LeaseLost):
        parts.finish(first.lease, DONE)
    assert jobs.get(job.id).state == JobState.RUNNING
    parts.finish(second.lease, DONE)
    assert jobs.get(job.id).state == JobState.QUEUED


def test_a_part_counts_once(leases: Leases, parts: Parts, database: Database) -> None:
    divided(database, 2)
    lease = claimed(leases).lease
    parts.finish(lease, DONE)

    with pytest.raises(LeaseLost):
        parts.finish(lease, DONE)

    assert claimed(leases).part == {"number": 1}


def test_a_released_part_is_due_at_once_and_costs_no_attempt(
    leases: Leases, reconciler: Reconciler, database: Database
) -> None:
    # given
    job = divided(database, 1)
    reconciler.relay(lambda kind, job_id: None)

    # when it is released more often than it may fail
    for _ in range(job.max_attempts + 1):
        leases.release(claimed(leases).lease)
        assert reconciler.repair().woken == 1
        reconciler.relay(lambda kind, job_id: None)

    # then
    assert claimed(leases).part == {"number": 0}


def test_a_retryable_failure_delays_only_its_part(
    jobs: Jobs, leases: Leases, database: Database, clock: FakeClock
) -> None:
    job = divided(database, 2)

    leases.fail(claimed(leases).lease, Corrupt("a bit flipped"))

    assert (jobs.get(job.id).state, jobs.get(job.id).error) == (JobState.RUNNING, None)
    assert claimed(leases).part == {"number": 1}
    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    clock.tick(BACKOFF_S)
    assert claimed(leases).part == {"number": 0}
