"""The embedded stack's own supervisor, killed and frozen while jobs run."""

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
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Embedded, Cluster]]:
    with embedded(tmp_path_factory.mktemp("stack") / "home") as found:
        yield found


@pytest.fixture
def stack(both: tuple[Embedded, Cluster]) -> Embedded:
    return both[0]


@pytest.fixture
def driver(both: tuple[Embedded, Cluster]) -> Iterator[Driver]:
    driver = Driver(both[1])
    yield driver
    driver.close()


def test_jobs_go_on_without_the_supervisor_and_the_next_up_takes_over(stack: Embedded, driver: Driver) -> None:
    # given jobs, one of which runs, when the supervisor is killed
    jobs = [driver.submit(name) for name in ("steps-1", "quick-1", "quick-1")]
    driver.until(jobs[0], stepping)
    stack.process("supervisor").kill()

    # then they are done, and so is one that is accepted now
    for job in [*jobs, driver.submit("quick-1")]:
        done = driver.until(job, ended)
        assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)
    assert [len(driver.versions(name)) for name in ("steps-1", "quick-1")] == [1, 3]
    assert not status_of(stack.stack.home).supervised

    # when the stack is started again, in the middle of a job and with one that waits
    running, waiting = driver.submit("slow-1"), driver.submit("quick-2")
    driver.until(running, stepping)
    orphans = marked(stack.stack.home)
    assert stack.up()

    # then nothing old is left, and each job was done once, with no failure charged
    assert not any(process.is_running() for process in orphans)
    status = status_of(stack.stack.home)
    assert {component.state for component in status.components} == {"ready", "stopped"}
    for job in (running, waiting):
        done = driver.until(job, ended)
        assert (done.state, done.attempt) == (JobState.SUCCEEDED, 1)
    assert [len(driver.versions(name)) for name in ("slow-1", "quick-2")] == [1, 1]


def test_jobs_go_on_under_a_frozen_supervisor_which_makes_up_for_it(stack: Embedded, driver: Driver) -> None:
    # given
    supervisor, worker = stack.process("supervisor"), stack.process("preprocess")
    supervisor.suspend()

    # when a job is done, and the worker of another is killed
    assert driver.until(driver.submit("quick-3"), ended).state == JobState.SUCCEEDED
    job = driver.until(driver.submit("slow-2"), stepping)
    worker.kill()
    assert not stack.up()  # it is there, after all

    # then, as soon as it goes on, there is another worker, and that sees the job through
    supervisor.resume()
    driver.wait(lambda: not worker.is_running())
    age_leases(driver.cluster, living=False)
    done = driver.until(job, ended)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert len(driver.versions("slow-2")) == 1
