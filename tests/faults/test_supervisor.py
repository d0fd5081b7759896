"""The supervisor of the embedded stack is killed and frozen while jobs run."""

from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from tests.faults.cluster import Cluster
from tests.faults.driver import Driver, ended, stepping
from tests.faults.embedded import Embedded, embedded
from tests.faults.nemesis import age_leases
from tidepool.stack.processes import marked
from tidepool.stack.status import status_of


@pytest.fixture(scope="module")
def stack_and_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, Cluster]]:
    with embedded(tmp_path_factory.mktemp("stack") / "home") as running:
        yield running


@pytest.fixture
def stack(stack_and_cluster: tuple[Embedded, Cluster]) -> Embedded:
    return stack_and_cluster[0]


@pytest.fixture
def driver(stack_and_cluster: tuple[Embedded, Cluster]) -> Iterator[Driver]:
    driver = Driver(stack_and_cluster[1])
    yield driver
    driver.close()


def test_jobs_continue_without_the_supervisor_and_up_takes_over(stack: Embedded, driver: Driver) -> None:
    # given a running and two queued jobs, when the supervisor is killed
    jobs = [driver.submit(name) for name in ("steps-1", "quick-1", "quick-1")]
    driver.until(jobs[0], stepping)
    stack.process("supervisor").kill()

    # then they succeed, and so does a job submitted now
    for job in [*jobs, driver.submit("quick-1")]:
        done = driver.until(job, ended)
        assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)
    assert [len(driver.versions(name)) for name in ("steps-1", "quick-1")] == [1, 3]
    assert not status_of(stack.stack.home).supervised

    # when the stack is started again, with a running and a queued job
    running, waiting = driver.submit("slow-1"), driver.submit("quick-2")
    driver.until(running, stepping)
    orphans = marked(stack.stack.home)
    assert stack.up()

    # then the old processes have ended, and each job ran once, without a counted failure
    assert not any(process.is_running() for process in orphans)
    status = status_of(stack.stack.home)
    assert {component.state for component in status.components} == {"ready", "stopped"}
    for job in (running, waiting):
        done = driver.until(job, ended)
        assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)
    assert [len(driver.versions(name)) for name in ("slow-1", "quick-2")] == [1, 1]


def test_jobs_continue_under_a_frozen_supervisor_which_then_restarts_workers(stack: Embedded, driver: Driver) -> None:
    # given
    supervisor, worker = stack.process("supervisor"), stack.process("preprocess")
    supervisor.suspend()

    # when one job succeeds, and the worker of another is killed
    assert driver.until(driver.submit("quick-3"), ended).state == JobState.SUCCEEDED
    job = driver.until(driver.submit("slow-2"), stepping)
    worker.kill()
    assert not stack.up()  # the supervisor still exists

    # then, after it continues, a new worker runs the job
    supervisor.resume()
    driver.wait(lambda: not worker.is_running())
    age_leases(driver.cluster, living=False)
    done = driver.until(job, ended)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert len(driver.versions("slow-2")) == 1
