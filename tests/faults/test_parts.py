"""Divided jobs on two replicas."""

from sqlalchemy import select

from contract.artifacts import Bucket
from contract.jobs import JobState
from services.storage.tables import jobs
from tests.faults.behaviours import PARTS
from tests.faults.driver import Driver, ended
from tests.faults.nemesis import age_leases


def test_both_replicas_run_parts_and_the_job_finishes(driver: Driver) -> None:
    job = driver.until(driver.submit("divides"), ended)

    assert (job.state, len(driver.versions("divides"))) == (JobState.SUCCEEDED, 1)
    assert {state for state, _ in _parts(driver, job.id)} == {JobState.SUCCEEDED}
    assert len({worker for _, worker in _parts(driver, job.id)}) == 2


def test_a_part_whose_worker_is_killed_runs_again(driver: Driver) -> None:
    # given
    job = driver.submit("divides-again")
    driver.wait(lambda: any(state == JobState.RUNNING for state, _ in _parts(driver, job.id)))

    # when
    for worker in driver.cluster.workers:
        worker.kill()
    age_leases(driver.cluster, living=False)

    # then the job is finished from all parts, once
    assert driver.until(job, ended).state == JobState.SUCCEEDED
    assert [state for state, _ in _parts(driver, job.id)] == [JobState.SUCCEEDED] * PARTS
    assert driver.versions("divides-again") == (1,)


def test_a_part_that_always_fails_fails_its_job_without_leftovers(driver: Driver) -> None:
    # when
    job = driver.until(driver.submit("poison"), ended)

    # then the error names the part and the reason
    assert job.state == JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.message) == ("bad_dataset", f"part {PARTS}: this part cannot be read")
    assert driver.versions("poison") == ()

    # and the other parts have ended and their objects are collected
    driver.wait(lambda: all(JobState(state).terminal for state, _ in _parts(driver, job.id)))
    objects, parts = driver.cluster.stores.objects, _part_ids(driver, job.id)
    driver.wait(lambda: not any(objects.prefixes(Bucket.JOBS, f"{part}/attempts/") for part in parts))


def _parts(driver: Driver, job: str) -> list[tuple[str, str]]:
    query = select(jobs.c.state, jobs.c.worker).where(jobs.c.parent_id == job)
    with driver.cluster.stores.database.read() as connection:
        return [(row.state, row.worker) for row in connection.execute(query)]


def _part_ids(driver: Driver, job: str) -> list[str]:
    with driver.cluster.stores.database.read() as connection:
        return list(connection.execute(select(jobs.c.id).where(jobs.c.parent_id == job)).scalars())
