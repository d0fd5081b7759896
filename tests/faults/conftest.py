"""A cluster for the directed tests; all faults are ended after each test."""

from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster
from tests.faults.driver import Driver, ended
from tests.faults.start import cluster


@pytest.fixture(scope="session")
def running() -> Iterator[Cluster]:
    """A cluster on SQLite whose workers are ready."""
    with cluster("sqlite") as target:
        driver = Driver(target)
        driver.wait_until_it_answers()
        driver.until(driver.submit("quick"), ended)
        driver.close()
        yield target


@pytest.fixture
def driver(running: Cluster) -> Iterator[Driver]:
    driver = Driver(running)
    yield driver
    running.heal()
    driver.wait(lambda: all(process.running() for process in running.processes.values()))
    driver.wait_until_it_answers()
    driver.close()
