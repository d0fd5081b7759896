"""Child jobs: created once, claimed like others, and their parent is woken when one ends."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from sqlalchemy import Connection, select, update

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef
from contract.division import NewChild, Waiting
from contract.errors import Cancelled, Conflict, Invalid, LeaseLost, ObjectsUnavailable
from contract.jobs import Job, JobKind, JobState
from contract.kinds.trial import TrialSpec
from services.storage import tables
from services.storage.database import Database
from services.storage.jobs import children as children_module
from services.storage.jobs.children import Children, child_id
from services.storage.jobs.events import Events
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import BACKOFF_S, Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.references import Owner
from services.storage.sweep.reconciler import Reconciler
from tests.examples import MODEL_MANIFEST, TRAIN_REQUEST, TRAIN_SPEC, TRIAL_OUTCOME
from tests.integration.storage.steps import claimed, owned
from tests.support.clock import FakeClock

TRAINER = (JobKind.TRAIN, JobKind.TRIAL)
PARENT = TRAIN_REQUEST.model_copy(update={"deadline_s": None, "priority": 0})


@pytest.fixture
def children(database: Database) -> Children:
    return Children(database)


@pytest.fixture
def parent(jobs: Jobs) -> Job:
    return jobs.create(PARENT)


def waiting(parent: Job, *numbers: int, seen: int = 0, stopping: bool = False) -> Waiting:
    """Wait for these children."""
    new = tuple(
        NewChild(
            number=number, spec=TrialSpec(training=TRAIN_SPEC, study=parent.id, number=number).model_dump(mode="json")
        )
        for number in numbers
    )
    return Waiting(kind="trial", children=new, seen=seen, fraction=0.1, message="trying", stopping=stopping)


def started(leases: Leases, children: Children, parent: Job, count: int = 2) -> list[Lease]:
    """Let a parent wait for children that have started; return their leases."""
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, *range(count)))
    return [claimed(leases, JobKind.TRIAL).lease for _ in range(count)]


def numbered(children: Children, parent: Job) -> list[tuple[int, JobState]]:
    return [(child.number, child.job.state) for child in children.of(parent.id)]


def test_children_are_jobs_and_their_parent_waits_without_a_lease(
    jobs: Jobs, leases: Leases, children: Children, parent: Job, events: Events
) -> None:
    # when a parent creates two, and a worker claims
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1))
    claim = leases.claim(TRAINER, "worker")

    # then it gets the first child, which is a job of its own with the parent's model and dataset
    assert claim is not None
    assert claim.part is None
    assert (claim.job.parent, claim.job.kind, claim.job.spec["number"]) == (parent.id, "trial", 0)
    assert [event.data["state"] for event in events.after(claim.job.id, 0)] == ["queued", "running"]
    # and the parent is running, listed alone, and shows what it waits for
    assert (jobs.get(parent.id).state, jobs.get(parent.id).progress.message) == (JobState.RUNNING, "trying")
    assert [job.id for job in jobs.list(JobFilter(), 10).items] == [parent.id]
    listed = jobs.list(JobFilter(parent=parent.id), 10).items
    assert [job.spec["number"] for job in listed] == [1, 0]
    assert jobs.list(JobFilter(parent=parent.id, state=JobState.QUEUED), 10).items == listed[:1]


def test_the_end_of_a_child_wakes_its_parent(leases: Leases, children: Children, parent: Job, events: Events) -> None:
    first, second = started(leases, children, parent)
    assert leases.claim(TRAINER, "worker") is None

    # when one ends, its parent is due, with the child's result
    leases.finish(first, TRIAL_OUTCOME)
    claim = claimed(leases, JobKind.TRAIN)
    assert claim.job.id == parent.id
    assert claim.job.attempt == 1
    assert [child.job.result is not None for child in children.of(parent.id)] == [True, False]

    # when it waits again and the other one fails, it is due again
    children.wait(claim.lease, waiting(parent, seen=1))
    assert leases.claim(TRAINER, "worker") is None
    leases.fail(second, Invalid("the training diverged"))
    assert claimed(leases, JobKind.TRAIN).job.id == parent.id
    # and its events do not mention the waits
    states = [event.data["state"] for event in events.after(parent.id, 0) if event.kind == "state"]
    assert states == ["queued", "running"]


def test_an_end_that_the_parent_has_not_seen_keeps_it_from_waiting(
    leases: Leases, children: Children, parent: Job
) -> None:
    first, second = started(leases, children, parent)
    leases.finish(first, TRIAL_OUTCOME)
    lease = claimed(leases, JobKind.TRAIN).lease
    leases.finish(second, TRIAL_OUTCOME)  # while the parent's attempt works

    children.wait(lease, waiting(parent, seen=1))

    assert claimed(leases, JobKind.TRAIN).job.id == parent.id


def test_a_child_exists_once_whatever_attempt_creates_it(leases: Leases, children: Children, parent: Job) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0))
    leases.finish(claimed(leases, JobKind.TRIAL).lease, TRIAL_OUTCOME)

    # when the parent's next attempt creates it again, with another
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1, seen=1))

    assert numbered(children, parent) == [(0, JobState.SUCCEEDED), (1, JobState.QUEUED)]
    assert [child.job.id for child in children.of(parent.id)] == [child_id(parent.id, number) for number in (0, 1)]
    assert child_id(parent.id, 0) > parent.id


def test_a_lost_attempt_creates_nothing(
    leases: Leases, children: Children, parent: Job, reconciler: Reconciler, clock: FakeClock
) -> None:
    lease = claimed(leases, JobKind.TRAIN).lease
    clock.tick(LEASE.total_seconds() + 1)
    reconciler.repair()

    with pytest.raises(LeaseLost):
        children.wait(lease, waiting(parent, 0))

    assert numbered(children, parent) == []


def test_children_are_cancelled_with_their_parent(
    jobs: Jobs, leases: Leases, children: Children, parent: Job, clock: FakeClock
) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1))
    lease = claimed(leases, JobKind.TRIAL).lease

    assert jobs.cancel(parent.id).state == JobState.CANCELLED

    assert numbered(children, parent) == [(0, JobState.RUNNING), (1, JobState.CANCELLED)]
    with pytest.raises(Cancelled):
        leases.renew(lease)
    leases.cancelled(lease)
    assert leases.claim(TRAINER, "worker") is None
    assert jobs.get(parent.id).state == JobState.CANCELLED


def test_what_an_older_release_leaves_is_cancelled_by_the_reconciler(
    database: Database, leases: Leases, children: Children, parent: Job, reconciler: Reconciler
) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0))
    with database.write() as connection:
        ended = update(tables.jobs).where(tables.jobs.c.id == parent.id).values(state=JobState.CANCELLED)
        connection.execute(ended)

    reconciler.repair()

    assert numbered(children, parent) == [(0, JobState.CANCELLED)]


def test_a_lost_child_runs_again_and_a_lost_parent_too(
    jobs: Jobs, leases: Leases, children: Children, parent: Job, reconciler: Reconciler, clock: FakeClock
) -> None:
    first, _ = started(leases, children, parent)
    leases.finish(first, TRIAL_OUTCOME)
    claimed(leases, JobKind.TRAIN)

    # when the replicas of the parent and of the second child die
    clock.tick(LEASE.total_seconds() + 1)
    reconciler.repair()
    clock.tick(BACKOFF_S)

    # then both run again, the parent knows its children, and both can end
    claims = {claim.job.kind: claim for claim in (leases.claim(TRAINER, "worker") for _ in range(2)) if claim}
    assert claims[JobKind.TRAIN].job.attempt == 2
    assert numbered(children, parent) == [(0, JobState.SUCCEEDED), (1, JobState.RUNNING)]
    leases.finish(claims[JobKind.TRIAL].lease, TRIAL_OUTCOME)
    assert leases.finish(claims[JobKind.TRAIN].lease, MODEL_MANIFEST).state == JobState.SUCCEEDED
    assert jobs.get(parent.id).result is not None


def test_a_child_that_fails_for_good_wakes_its_parent_by_the_reconciler(
    leases: Leases, children: Children, parent: Job, reconciler: Reconciler, clock: FakeClock
) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0))
    for _ in range(3):
        claimed(leases, JobKind.TRIAL)
        clock.tick(LEASE.total_seconds() + 1)
        reconciler.repair()
        clock.tick(300)

    assert numbered(children, parent) == [(0, JobState.FAILED)]
    assert claimed(leases, JobKind.TRAIN).job.id == parent.id


def test_a_parent_whose_children_have_ended_unnoticed_is_woken_by_the_reconciler(
    database: Database, leases: Leases, children: Children, parent: Job, reconciler: Reconciler
) -> None:
    (lease,) = started(leases, children, parent, 1)
    reconciler.repair()
    assert leases.claim(TRAINER, "worker") is None
    with database.write() as connection:  # as by a transaction that has seen the parent with a lease
        over = update(tables.jobs).where(tables.jobs.c.id == lease.job_id)
        connection.execute(over.values(state=JobState.CANCELLED, lease_until=None))

    reconciler.repair()

    assert claimed(leases, JobKind.TRAIN).job.id == parent.id


def test_a_child_that_is_cancelled_while_its_parent_begins_to_wait_wakes_it(
    jobs: Jobs, leases: Leases, children: Children, parent: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a parent with a queued child, whose attempt waits again
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1))
    leases.finish(claimed(leases, JobKind.TRIAL).lease, TRIAL_OUTCOME)
    lease = claimed(leases, JobKind.TRAIN).lease
    counts, cancelled = children_module._states, ThreadPoolExecutor(1)

    def meanwhile(connection: Connection, job_id: str) -> dict[int, JobState]:
        states = counts(connection, job_id)
        futures.append(cancelled.submit(jobs.cancel, child_id(parent.id, 1)))
        wait(futures, timeout=0.3)  # it must not end before the parent's transaction
        return states

    # when a person cancels the child after the attempt has read its state
    futures: list[Future[Job]] = []
    monkeypatch.setattr(children_module, "_states", meanwhile)
    children.wait(lease, waiting(parent, seen=1))
    assert futures[0].result(10).state == JobState.CANCELLED
    cancelled.shutdown()

    # then the parent is due
    assert claimed(leases, JobKind.TRAIN).job.id == parent.id


def test_the_failures_of_a_parent_count_until_it_waits_again(
    leases: Leases, children: Children, parent: Job, clock: FakeClock
) -> None:
    # when the object store is away once before each wait of a parent
    for number in range(parent.max_attempts + 1):
        leases.fail(claimed(leases, JobKind.TRAIN).lease, ObjectsUnavailable("the object store is away"))
        clock.tick(BACKOFF_S)
        children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, number, seen=number))
        leases.finish(claimed(leases, JobKind.TRIAL).lease, TRIAL_OUTCOME)

    # then it still runs
    assert claimed(leases, JobKind.TRAIN).job.id == parent.id


def test_keep_best_wakes_a_parent_which_lets_its_children_end_early(
    jobs: Jobs, leases: Leases, children: Children, parent: Job
) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1))
    lease = claimed(leases, JobKind.TRIAL).lease

    # when a person asks for the best model so far
    jobs.cancel(parent.id, keep_best=True)
    claim = claimed(leases, JobKind.TRAIN)
    assert claim.keep_best
    children.wait(claim.lease, waiting(parent, stopping=True))

    # then the child that runs is asked to end early, and the other one is cancelled, which wakes the parent
    assert leases.renew(lease)
    assert numbered(children, parent) == [(0, JobState.RUNNING), (1, JobState.CANCELLED)]
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, seen=1, stopping=True))
    assert leases.claim(TRAINER, "worker") is None


def test_a_request_for_the_best_model_during_the_attempt_is_not_missed(
    jobs: Jobs, leases: Leases, children: Children, parent: Job
) -> None:
    lease = claimed(leases, JobKind.TRAIN).lease
    jobs.cancel(parent.id, keep_best=True)

    children.wait(lease, waiting(parent, 0))

    assert claimed(leases, JobKind.TRAIN).keep_best


def test_children_count_for_the_quota_but_one_may_always_be_open(
    database: Database, jobs: Jobs, leases: Leases, children: Children, parent: Job
) -> None:
    with database.write() as connection:
        connection.execute(update(tables.projects).values(quotas={"live_jobs": 2}))

    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0, 1, 2))
    assert numbered(children, parent) == [(0, JobState.QUEUED)]

    leases.finish(claimed(leases, JobKind.TRIAL).lease, TRIAL_OUTCOME)
    jobs.create(PARENT)  # takes the room of the next child
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 1, 2, seen=1))
    assert numbered(children, parent)[1:] == [(1, JobState.QUEUED)]


def test_what_a_child_has_made_is_kept_until_its_parent_ends(
    database: Database, leases: Leases, children: Children, parent: Job
) -> None:
    (lease,) = started(leases, children, parent, 1)
    state = ObjectRef(bucket=Bucket.JOBS, key="trial/state", size=1, sha256="0" * 64)
    leases.finish(lease, TRIAL_OUTCOME.model_copy(update={"state": state}))
    assert owned(database, Owner.JOB_PARTS) == {parent.id: {"state"}}
    assert owned(database, Owner.JOB_OUTPUT) == {}

    leases.finish(claimed(leases, JobKind.TRAIN).lease, MODEL_MANIFEST)

    assert owned(database, Owner.JOB_PARTS) == {}


def test_clients_do_not_see_where_the_weights_of_a_child_are_stored(
    jobs: Jobs, leases: Leases, children: Children, parent: Job
) -> None:
    (lease,) = started(leases, children, parent, 1)
    leases.finish(lease, TRIAL_OUTCOME)

    (child,) = children.of(parent.id)
    (listed,) = jobs.list(JobFilter(parent=parent.id), 10).items

    assert child.job.result is not None
    assert listed.result is not None
    assert child.job.result["state"] == TRIAL_OUTCOME.state.model_dump(mode="json")
    assert child.job.result.keys() - listed.result.keys() == {"state"}
    assert jobs.get(child.job.id) == listed


def test_a_child_is_deleted_and_retried_with_its_parent(
    database: Database, jobs: Jobs, leases: Leases, children: Children, parent: Job
) -> None:
    (lease,) = started(leases, children, parent, 1)
    leases.fail(lease, Invalid("the training diverged"))
    leases.fail(claimed(leases, JobKind.TRAIN).lease, Invalid("no trial has succeeded"))
    (child,) = children.of(parent.id)

    with pytest.raises(Conflict, match=f"belongs to job {parent.id}; delete that one"):
        jobs.delete(child.job.id)
    with pytest.raises(Conflict, match=f"belongs to job {parent.id}; retry that one"):
        jobs.retry(child.job.id)
    jobs.delete(parent.id)

    with database.read() as connection:
        assert connection.execute(select(tables.jobs.c.id)).all() == []
    assert Children(database).of(parent.id) == ()
    assert Jobs(database, DEFAULT_PROJECT).list(JobFilter(), 5).items == ()


def test_a_worker_of_an_older_release_claims_no_child(leases: Leases, children: Children, parent: Job) -> None:
    children.wait(claimed(leases, JobKind.TRAIN).lease, waiting(parent, 0))

    assert leases.claim((JobKind.TRAIN, JobKind.BACKBONE), "of an older release") is None
