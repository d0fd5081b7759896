"""The bound on the queue of accepted jobs."""

import pytest

from contract.errors import Overloaded
from services.storage.database import Database
from services.storage.jobs.idempotency import Once
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.sweep.reconciler import Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, divided

MOST = 3


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, MOST)


def test_a_full_queue_takes_nothing(jobs: Jobs, reconciler: Reconciler) -> None:
    # given as many jobs as may wait, and one that was cancelled
    cancelled = jobs.cancel(jobs.create(PREPROCESS_REQUEST).id)
    waiting = [jobs.create(request) for request in (PREPROCESS_REQUEST, TRAIN_REQUEST, PREPROCESS_REQUEST)]
    reconciler.relay(lambda kind, job_id: None)

    # when
    with pytest.raises(Overloaded, match=f"{MOST} jobs"):
        jobs.create(PREPROCESS_REQUEST)
    with pytest.raises(Overloaded, match=f"{MOST} jobs"):
        jobs.retry(cancelled.id)

    # then there is nothing new, and no wakeup
    assert jobs.list(JobFilter(), 10).items == (*reversed(waiting), cancelled)
    woken: list[str] = []
    reconciler.relay(lambda kind, job_id: woken.append(job_id))
    assert woken == []


def test_a_job_that_runs_leaves_room(jobs: Jobs, leases: Leases) -> None:
    for _ in range(MOST):
        jobs.create(PREPROCESS_REQUEST)

    claimed(leases)

    jobs.create(PREPROCESS_REQUEST)
    with pytest.raises(Overloaded):
        jobs.create(PREPROCESS_REQUEST)


def test_parts_are_not_counted(jobs: Jobs, database: Database) -> None:
    divided(database, 2 * MOST)

    for _ in range(MOST):
        jobs.create(PREPROCESS_REQUEST)

    with pytest.raises(Overloaded):
        jobs.create(PREPROCESS_REQUEST)


def test_a_request_that_was_accepted_is_answered_again(jobs: Jobs) -> None:
    once = Once("owner", "key", "0" * 64)
    first = jobs.create(PREPROCESS_REQUEST, once=once)
    for _ in range(MOST - 1):
        jobs.create(PREPROCESS_REQUEST)

    assert jobs.create(PREPROCESS_REQUEST, once=once) == first


def test_without_a_bound_everything_is_taken(database: Database) -> None:
    made = [Jobs(database).create(PREPROCESS_REQUEST).id for _ in range(2 * MOST)]

    assert [job.id for job in Jobs(database).list(JobFilter(), 10).items] == made[::-1]
