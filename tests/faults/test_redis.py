"""Jobs while Redis is frozen, gone or empty."""

import time

from sqlalchemy import func, select

from contract.jobs import JobState
from services.storage.tables import outbox
from tests.faults.driver import Driver, ended, stepping
from tests.faults.nemesis import age_leases


def test_a_job_is_accepted_while_redis_is_frozen_and_runs_when_it_is_back(driver: Driver) -> None:
    # given a Redis that takes connections and answers none
    driver.cluster.kept["redis"].freeze()

    # when
    began = time.monotonic()
    job = driver.submit("quick")
    took = time.monotonic() - began

    # then it is accepted at once, can be read, and runs with nobody's help as soon as Redis goes on
    assert took < 2
    assert driver.job(job).state == JobState.QUEUED
    driver.cluster.kept["redis"].thaw()
    assert driver.until(job, ended).state == JobState.SUCCEEDED


def test_a_wiped_redis_loses_no_job(driver: Driver) -> None:
    # given one job that runs and others whose wakeups wait in Redis, as nobody is there to hear them
    running = driver.until(driver.submit("slow"), stepping)
    pool = {driver.cluster.kept["preprocess-1"], driver.cluster.kept["preprocess-2"]}
    (idle,) = pool - {driver.holder(running)}
    idle.pause()
    waiting = [driver.submit("quick") for _ in range(3)]
    driver.wait(lambda: not _unsent(driver))

    # when Redis is killed and its files are gone
    driver.cluster.wipe_redis()
    idle.resume()
    age_leases(driver.cluster, living=False)

    # then every one of them succeeds, in the attempt that it was in
    jobs = [driver.until(job, ended) for job in (running, *waiting)]
    assert [(job.state, job.attempt) for job in jobs] == [(JobState.SUCCEEDED, 1)] * 4


def test_a_wiped_redis_and_killed_workers_lose_no_job(driver: Driver) -> None:
    # given two jobs that run, and one that waits for its wakeup to be heard
    first, second = (driver.until(driver.submit("long"), stepping) for _ in range(2))
    waiting = driver.submit("quick")
    driver.wait(lambda: not _unsent(driver))

    # when nobody is left who knows of them, but the rows
    pool = [driver.cluster.kept[name] for name in ("preprocess-1", "preprocess-2")]
    for worker in pool:
        worker.pause()
    driver.cluster.wipe_redis()
    for worker in pool:
        worker.resume()
    age_leases(driver.cluster, living=False)

    # then all of them run again
    jobs = [driver.until(job, ended) for job in (first, second, waiting)]
    assert [(job.state, job.attempt) for job in jobs] == [
        (JobState.SUCCEEDED, 2),
        (JobState.SUCCEEDED, 2),
        (JobState.SUCCEEDED, 1),
    ]


def test_jobs_are_cancelled_while_redis_is_gone(driver: Driver) -> None:
    # given
    running = driver.until(driver.submit("slow"), stepping)
    driver.cluster.kept["redis"].pause()
    waiting = driver.submit("slow")

    # when
    driver.cancel(running)
    driver.cancel(waiting)

    # then both end so, and nothing appears
    before = driver.versions("slow")
    assert driver.until(running, ended).state == JobState.CANCELLED
    assert driver.until(waiting, ended).state == JobState.CANCELLED  # an idle worker may have found it in between
    driver.cluster.kept["redis"].resume()
    assert driver.versions("slow") == before


def _unsent(driver: Driver) -> int:
    """How many wakeups have not been sent to Redis."""
    with driver.cluster.stores.database.read() as connection:
        return connection.execute(select(func.count()).select_from(outbox)).scalar_one()
