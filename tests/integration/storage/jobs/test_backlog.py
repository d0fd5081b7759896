"""The limit on the number of queued jobs."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import Overloaded
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey
from services.storage.jobs.jobs import JobFilter, Jobs
from services.storage.jobs.leases import Leases
from services.storage.sweep.reconciler import Reconciler
from tests.examples import PREPROCESS_REQUEST, TRAIN_REQUEST
from tests.integration.storage.steps import claimed, divided

MOST = 3


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, DEFAULT_PROJECT, MOST)


def test_a_full_queue_rejects_jobs(jobs: Jobs, reconciler: Reconciler) -> None:
    # given as many queued jobs as permitted, and a cancelled one
    cancelled = jobs.cancel(jobs.create(PREPROCESS_REQUEST).id)
    waiting = [jobs.create(request) for request in (PREPROCESS_REQUEST, TRAIN_REQUEST, PREPROCESS_REQUEST)]
    reconciler.relay(lambda kind, job_id: None)

    # when
    with pytest.raises(Overloaded, match=f"{MOST} jobs"):
        jobs.create(PREPROCESS_REQUEST)
    with pytest.raises(Overloaded, match=f"{MOST} jobs"):
        jobs.retry(cancelled.id)

    # then there is no new job, and no wake-up message
    assert jobs.list(JobFilter(), 10).items == (*reversed(waiting), cancelled)
    woken: list[str] = []
    reconciler.relay(lambda kind, job_id: woken.append(job_id))
    assert woken == []


def test_a_running_job_does_not_count_as_queued(jobs: Jobs, leases: Leases) -> None:
    for _ in range(MOST):
        jobs.create(PREPROCESS_REQUEST)

    claimed(leases)

    jobs.create(PREPROCESS_REQUEST)
    with pytest.raises(Overloaded):
        jobs.create(PREPROCESS_REQUEST)


def test_parts_do_not_count_as_queued_jobs(jobs: Jobs, database: Database) -> None:
    divided(database, 2 * MOST)

    for _ in range(MOST):
        jobs.create(PREPROCESS_REQUEST)

    with pytest.raises(Overloaded):
        jobs.create(PREPROCESS_REQUEST)


def test_a_repeated_request_is_answered_although_the_queue_is_full(jobs: Jobs) -> None:
    once = IdempotencyKey("owner", "key", "0" * 64)
    first = jobs.create(PREPROCESS_REQUEST, once=once)
    for _ in range(MOST - 1):
        jobs.create(PREPROCESS_REQUEST)

    assert jobs.create(PREPROCESS_REQUEST, once=once) == first


def test_without_a_limit_all_jobs_are_accepted(database: Database) -> None:
    made = [Jobs(database, DEFAULT_PROJECT).create(PREPROCESS_REQUEST).id for _ in range(2 * MOST)]

    assert [job.id for job in Jobs(database, DEFAULT_PROJECT).list(JobFilter(), 10).items] == made[::-1]
