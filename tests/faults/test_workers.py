"""Jobs whose worker or attempt is killed, frozen or terminated."""

import signal
import threading
from collections.abc import Callable

import httpx
import pytest

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, attempt_prefix
from contract.jobs import Job, JobState
from tests.faults.driver import Driver, ended, stepping
from tests.faults.nemesis import age_leases
from tests.faults.process import signal_all


def test_the_job_of_a_killed_worker_runs_again(driver: Driver) -> None:
    # given
    job = driver.until(driver.submit("slow"), stepping)

    # when
    driver.holder(job).kill()
    age_leases(driver.cluster, living=False)

    # then another attempt succeeds, and the failure counts
    job = driver.until(job, ended)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 2)


@pytest.mark.parametrize("progress", [stepping, ended], ids=["runs the job", "has finished the job"])
def test_a_stale_attempt_changes_nothing_and_is_collected(driver: Driver, progress: Callable[[Job], bool]) -> None:
    # given an attempt with a stored object, frozen with its worker until its lease expires
    job, versions = driver.until(driver.submit("slow"), stepping), driver.versions("slow")
    stale = driver.holder(job)
    attempts = stale.attempts()
    stale.freeze()
    age_leases(driver.cluster)

    # when it continues while another replica runs the job, or has finished it
    driver.until(job, lambda job: job.attempt == 2 and progress(job))
    stale.thaw()
    driver.wait(lambda: not any(attempt.is_running() for attempt in attempts))

    # then only the other attempt is published, once, and the objects of the first are collected
    done = driver.until(job, ended)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert driver.job(job) == done
    assert len(driver.versions("slow")) == len(versions) + 1
    objects = driver.cluster.stores.objects
    driver.wait(lambda: objects.prefixes(Bucket.JOBS, f"{job.id}/attempts/") == [attempt_prefix(job.id, 2)])


def test_a_job_whose_process_is_killed_runs_again(driver: Driver) -> None:
    # given, like an out-of-memory kill
    job = driver.until(driver.submit("slow"), stepping)
    signal_all(driver.holder(job).attempts(), signal.SIGKILL)

    # when
    failed = driver.until(job, lambda job: job.error is not None)

    # then the error is recorded, and the job runs again
    assert (failed.state, failed.error and failed.error.code) == (JobState.QUEUED, "worker_lost")
    age_leases(driver.cluster, living=False)
    job = driver.until(job, ended)
    assert (job.state, job.attempt, job.error) == (JobState.SUCCEEDED, 2, None)


def test_a_job_that_ignores_its_cancel_is_killed(driver: Driver) -> None:
    job = driver.until(driver.submit("deaf"), stepping)

    driver.cancel(job)

    assert driver.until(job, ended).state == JobState.CANCELLED
    assert driver.versions("deaf") == ()


def test_sigterm_moves_the_job_to_another_replica_without_counting_a_failure(driver: Driver) -> None:
    # given
    job = driver.until(driver.submit("slow"), stepping)
    worker = driver.holder(job)

    # when it gets SIGTERM, it exits within its grace period
    worker.terminate(30)

    # then the other replica runs the job, still as the first attempt
    job = driver.until(job, ended)
    assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)


def test_sigterm_of_the_gateway_loses_no_accepted_job(driver: Driver) -> None:
    # given clients that submit continuously
    accepted, stop = [], threading.Event()

    def submit() -> None:
        other = Driver(driver.cluster)
        while not stop.wait(0.01):
            try:
                accepted.append(other.submit("bad"))
            except httpx.HTTPError:
                continue
        other.close()

    clients = [threading.Thread(target=submit) for _ in range(3)]
    for client in clients:
        client.start()
    driver.wait(lambda: len(accepted) > 10)

    # when
    driver.cluster.processes["gateway"].terminate(30)
    stop.set()
    for client in clients:
        client.join()

    # then every accepted job exists
    jobs = driver.cluster.stores.of(DEFAULT_PROJECT).jobs
    assert [jobs.get(job.id).id for job in accepted] == [job.id for job in accepted]
