"""Jobs while Redis is frozen, down or empty."""

import time

from sqlalchemy import func, select

from contract.jobs import JobState
from services.storage.tables import outbox
from tests.faults.driver import Driver, ended, stepping
from tests.faults.nemesis import age_leases


def test_a_job_is_accepted_while_redis_is_frozen_and_runs_afterwards(driver: Driver) -> None:
    # given a Redis that accepts connections and does not respond
    driver.cluster.processes["redis"].freeze()

    # when
    began = time.monotonic()
    job = driver.submit("quick")
    elapsed = time.monotonic() - began

    # then it is accepted at once, can be read, and runs when Redis continues
    assert elapsed < 2
    assert driver.job(job).state == JobState.QUEUED
    driver.cluster.processes["redis"].thaw()
    assert driver.until(job, ended).state == JobState.SUCCEEDED


def test_a_wiped_redis_loses_no_job(driver: Driver) -> None:
    # given a running job, and others whose wake-up messages wait in Redis
    running = driver.until(driver.submit("slow"), stepping)
    pool = {driver.cluster.processes["preprocess-1"], driver.cluster.processes["preprocess-2"]}
    (idle,) = pool - {driver.holder(running)}
    idle.pause()
    waiting = [driver.submit("quick") for _ in range(3)]
    driver.wait(lambda: not _unsent(driver))

    # when Redis is killed and its files are deleted
    driver.cluster.wipe_redis()
    idle.resume()
    age_leases(driver.cluster, living=False)

    # then all succeed in their first attempt
    jobs = [driver.until(job, ended) for job in (running, *waiting)]
    assert [(job.state, job.attempt) for job in jobs] == [(JobState.SUCCEEDED, 1)] * 4


def test_a_wiped_redis_and_killed_workers_lose_no_job(driver: Driver) -> None:
    # given two running jobs, and one whose wake-up message waits
    first, second = (driver.until(driver.submit("long"), stepping) for _ in range(2))
    waiting = driver.submit("quick")
    driver.wait(lambda: not _unsent(driver))

    # when only their rows are left
    pool = [driver.cluster.processes[name] for name in ("preprocess-1", "preprocess-2")]
    for worker in pool:
        worker.pause()
    driver.cluster.wipe_redis()
    for worker in pool:
        worker.resume()
    age_leases(driver.cluster, living=False)

    # then all run to success
    jobs = [driver.until(job, ended) for job in (first, second, waiting)]
    assert [(job.state, job.attempt) for job in jobs] == [
        (JobState.SUCCEEDED, 2),
        (JobState.SUCCEEDED, 2),
        (JobState.SUCCEEDED, 1),
    ]


def test_jobs_are_cancelled_while_redis_is_down(driver: Driver) -> None:
    # given
    running = driver.until(driver.submit("slow"), stepping)
    driver.cluster.processes["redis"].pause()
    waiting = driver.submit("slow")

    # when
    driver.cancel(running)
    driver.cancel(waiting)

    # then both are cancelled and nothing is published
    versions = driver.versions("slow")
    assert driver.until(running, ended).state == JobState.CANCELLED
    assert driver.until(waiting, ended).state == JobState.CANCELLED  # an idle worker may have claimed it
    driver.cluster.processes["redis"].resume()
    assert driver.versions("slow") == versions


def _unsent(driver: Driver) -> int:
    """Return the number of wake-up messages in the outbox."""
    with driver.cluster.stores.database.read() as connection:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()
