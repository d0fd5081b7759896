"""A cluster for the directed tests, healed after each of them."""

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.driver import Driver


@pytest.fixture(scope="session")
def running() -> Iterator[Cluster]:
    """On SQLite; its workers are up."""
    with cluster("sqlite") as found:
        driver = Driver(found)
        driver.wait(lambda: _lives(found))
        job = driver.submit("quick")
        driver.until(job, lambda job: job.state.terminal)
        driver.close()
        yield found


@pytest.fixture
def driver(running: Cluster) -> Iterator[Driver]:
    driver = Driver(running)
    yield driver
    driver.close()
    running.heal()
    driver.wait(lambda: all(kept.running() for kept in running.kept.values()) and _lives(running))


def _lives(found: Cluster) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{found.url}/livez", trust_env=False, timeout=3).is_success
    return False
