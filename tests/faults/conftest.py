"""A cluster for the directed tests, healed after each of them."""

from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster
from tests.faults.driver import Driver, ended
from tests.faults.start import cluster


@pytest.fixture(scope="session")
def running() -> Iterator[Cluster]:
    """On SQLite; its workers are up."""
    with cluster("sqlite") as found:
        driver = Driver(found)
        driver.wait_until_it_answers()
        driver.until(driver.submit("quick"), ended)
        driver.close()
        yield found


@pytest.fixture
def driver(running: Cluster) -> Iterator[Driver]:
    driver = Driver(running)
    yield driver
    running.heal()
    driver.wait(lambda: all(kept.running() for kept in running.kept.values()))
    driver.wait_until_it_answers()
    driver.close()
