"""The reconciler: repairs, and the relay of wake-up messages."""

from contextlib import AbstractContextManager

import pytest
from sqlalchemy import Connection, event

from contract.errors import BrokerUnavailable, DatabaseUnavailable, LeaseLost
from contract.jobs import JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import BACKOFF_S, Leases
from services.storage.jobs.rows import LEASE, change, held, lock_root
from services.storage.sweep.reconciler import WAKE_AGAIN, Reconciler, Repairs
from tests.examples import DATASET_MANIFEST, PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import DAY_S, claimed, divided, job_in, together
from tests.support.clock import FakeClock

EXPIRED_S = LEASE.total_seconds() + 1
WAKE_AGAIN_S = WAKE_AGAIN.total_seconds()


class FakeBroker:
    """A broker that records wake-up messages, and is unavailable for those of one job."""

    def __init__(self, away_for: str | None = None) -> None:
        self.woken: list[tuple[JobKind, str]] = []
        self.away_for = away_for

    def __call__(self, kind: JobKind, job_id: str) -> None:
        if job_id == self.away_for:
            raise BrokerUnavailable("away")
        self.woken.append((kind, job_id))


def test_wake_up_messages_are_sent_once_in_the_order_of_the_jobs(jobs: Jobs, reconciler: Reconciler) -> None:
    made = [jobs.create(request) for request in (PREPROCESS_REQUEST, TRAIN_REQUEST, PREPROCESS_REQUEST)]
    broker = FakeBroker()

    assert (reconciler.relay(broker), reconciler.relay(broker)) == (3, 0)

    assert broker.woken == [(job.kind, job.id) for job in made]


def test_wake_up_messages_wait_while_the_broker_is_away(jobs: Jobs, reconciler: Reconciler) -> None:
    # given
    ids = [jobs.create(PREPROCESS_REQUEST).id for _ in range(3)]
    broker = FakeBroker(away_for=ids[1])

    # when it goes away after the first message, and comes back
    assert reconciler.relay(broker) == 1
    assert reconciler.relay(broker) == 0
    broker.away_for = None
    assert reconciler.relay(broker) == 2

    # then
    assert [job_id for _, job_id in broker.woken] == ids


def test_a_wake_up_message_that_could_not_be_deleted_is_sent_again(
    jobs: Jobs, reconciler: Reconciler, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database that goes away after the message was sent, before the entry is deleted
    job = jobs.create(PREPROCESS_REQUEST)
    broker = FakeBroker()

    def away() -> AbstractContextManager[Connection]:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as fault:
        fault.setattr(database, "write", away)
        with pytest.raises(DatabaseUnavailable):
            reconciler.relay(broker)

    # when
    reconciler.relay(broker)

    # then
    assert [job_id for _, job_id in broker.woken] == [job.id, job.id]


def test_an_abandoned_job_is_requeued_at_once_the_first_time_and_later_with_a_delay(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given
    job = jobs.create(PREPROCESS_REQUEST)
    broker = FakeBroker()
    reconciler.relay(broker)
    claimed(leases)
    clock.tick(EXPIRED_S)

    # when its first worker was lost
    assert reconciler.repair() == Repairs(requeued=1, failed=0, cancelled=0, expired=0, woken=1)

    # then it is due and its wake-up message is in the outbox
    job = jobs.get(job.id)
    assert (job.state, job.error and job.error.code) == (JobState.QUEUED, "worker_lost")
    assert reconciler.relay(broker) == 1
    assert claimed(leases).job.attempt == 2

    # when the second was lost too
    clock.tick(EXPIRED_S)
    assert reconciler.repair() == Repairs(requeued=1, failed=0, cancelled=0, expired=0, woken=0)

    # then it waits
    assert leases.claim(JobKind.PREPROCESS, "worker") is None
    clock.tick(BACKOFF_S)
    assert reconciler.repair().woken == 1
    assert claimed(leases).job.attempt == 3


def test_many_abandoned_jobs_are_requeued_in_batches(
    jobs: Jobs, leases: Leases, database: Database, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.storage.sweep.reconciler.BATCH", 2)
    for _ in range(5):
        jobs.create(PREPROCESS_REQUEST)
        claimed(leases)
    clock.tick(EXPIRED_S)
    updates: list[str] = []
    event.listen(
        database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, *_: updates.append(statement) if "failures" in statement else None,
    )

    assert Reconciler(database).repair().requeued == 5
    assert len([statement for statement in updates if statement.startswith("UPDATE jobs SET")]) == 3


def test_a_job_fails_when_it_has_lost_too_many_workers(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given its last attempt
    job = jobs.create(PREPROCESS_REQUEST)
    for _ in range(job.max_attempts):
        claimed(leases)
        clock.tick(EXPIRED_S)

    # when
    assert reconciler.repair() == Repairs(requeued=0, failed=1, cancelled=0, expired=0, woken=0)

    # then
    job = jobs.get(job.id)
    assert (job.state, job.attempt, job.finished_at) == (JobState.FAILED, job.max_attempts, clock.now)
    assert job.error is not None
    assert job.error.code == "worker_lost"


def test_a_job_past_its_deadline_expires(jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock) -> None:
    # given a queued and a running job
    soon = PREPROCESS_REQUEST.model_copy(update={"deadline_s": 10})
    running, queued = jobs.create(soon), jobs.create(soon)
    lease = claimed(leases).lease
    clock.tick(11)

    # when
    assert reconciler.repair() == Repairs(requeued=0, failed=0, cancelled=0, expired=2, woken=0)

    # then both have ended, and the attempt that still runs publishes nothing
    for job in (jobs.get(running.id), jobs.get(queued.id)):
        assert (job.state, job.finished_at, job.error and job.error.code) == (JobState.EXPIRED, clock.now, "expired")
    with pytest.raises(LeaseLost):
        leases.finish(lease, DATASET_MANIFEST)


def test_a_job_before_its_deadline_goes_on(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    job = jobs.create(PREPROCESS_REQUEST.model_copy(update={"deadline_s": 10}))
    lease = claimed(leases).lease
    clock.tick(10)

    assert reconciler.repair() == Repairs(requeued=0, failed=0, cancelled=0, expired=0, woken=0)

    leases.finish(lease, DATASET_MANIFEST)
    assert jobs.get(job.id).state == JobState.SUCCEEDED


def test_the_wake_up_message_of_an_unclaimed_job_is_sent_again(
    jobs: Jobs, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given a wake-up message that was lost
    job = jobs.create(PREPROCESS_REQUEST)
    reconciler.relay(lambda kind, job_id: None)
    broker = FakeBroker()

    # when it is too early to send it again
    clock.tick(WAKE_AGAIN_S - 1)
    assert reconciler.repair().woken == 0

    # when it is time, and each time after
    for _ in range(2):
        clock.tick(WAKE_AGAIN_S)
        assert reconciler.repair().woken == 1
        reconciler.relay(broker)
        assert reconciler.repair().woken == 0

    # then
    assert broker.woken == [(JobKind.PREPROCESS, job.id)] * 2


def test_a_long_outage_of_the_broker_does_not_pile_up_wake_up_messages(
    jobs: Jobs, reconciler: Reconciler, clock: FakeClock
) -> None:
    jobs.create(PREPROCESS_REQUEST)

    for _ in range(5):
        clock.tick(WAKE_AGAIN_S)
        reconciler.repair()

    assert reconciler.relay(FakeBroker()) == 1


def test_concurrent_reconcilers_charge_one_failure(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    jobs.create(PREPROCESS_REQUEST)
    claimed(leases)
    clock.tick(EXPIRED_S)

    passes = together(4, lambda _: reconciler.repair())

    assert sum(repairs.requeued for repairs in passes) == 1
    assert claimed(leases).job.attempt == 2


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)  # transactions take turns on SQLite
def test_a_job_that_another_transaction_changes_is_left_to_the_next_pass(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    # given a part whose last lease has expired
    job = divided(database, 1)
    for _ in range(job.max_attempts):
        lease = claimed(leases).lease
        clock.tick(EXPIRED_S)

    # when its worker comes back after all, and has locked the job, but not yet the part
    with database.write() as connection:
        lock_root(connection, lease)
        assert reconciler.repair().failed == 0
        change(connection, held(lease).values(progress=0.5))

    # then neither has waited for the other, and the next pass repairs it
    assert reconciler.repair().failed == 1
    assert jobs.get(job.id).state == JobState.FAILED


def test_a_job_that_has_ended_is_not_repaired(
    jobs: Jobs, reconciler: Reconciler, database: Database, clock: FakeClock
) -> None:
    ended = [job_in(state, database, clock) for state in JobState if state.terminal]
    clock.tick(10 * DAY_S)

    assert reconciler.repair() == Repairs(requeued=0, failed=0, cancelled=0, expired=0, woken=0)

    assert [jobs.get(job.id) for job in ended] == ended


def test_the_longest_wait_of_each_kind_is_measured(
    jobs: Jobs, leases: Leases, reconciler: Reconciler, clock: FakeClock
) -> None:
    # given
    jobs.create(PREPROCESS_REQUEST)
    clock.tick(5)
    jobs.create(PREPROCESS_REQUEST)
    clock.tick(5)

    # then
    assert reconciler.oldest_queued_seconds() == dict.fromkeys(JobKind, 0) | {JobKind.PREPROCESS: 10}

    # and when the oldest runs
    claimed(leases)
    assert reconciler.oldest_queued_seconds() == dict.fromkeys(JobKind, 0) | {JobKind.PREPROCESS: 5}
