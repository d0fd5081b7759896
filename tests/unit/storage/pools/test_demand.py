"""The measured load of the pools."""

import pytest

from contract.access import DEFAULT_PROJECT
from contract.pools import POOL_NAMES, Measured
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging.in_memory import MemoryReports
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools
from tests.examples import PREDICT_REQUEST, TRAIN_REQUEST
from tests.support.clock import FakeClock

IDLE = ReplicaReport(job=False, busy=0.0, draining=False)
BUSY = ReplicaReport(job=True, busy=0.5, draining=False)
DRAINING = ReplicaReport(job=True, busy=1.0, draining=True)


class World:
    """A database with two trainings and one batch prediction waiting, and reports that tests set."""

    def __init__(self) -> None:
        clock = FakeClock()
        database = Database.in_memory(clock)
        for request in (TRAIN_REQUEST, TRAIN_REQUEST, PREDICT_REQUEST):
            Jobs(database, DEFAULT_PROJECT).create(request)
        clock.tick(3)
        self.reports = MemoryReports()
        self.demand = Demand(Pools(database), self.reports, lambda: 50.0)


@pytest.fixture
def world() -> World:
    return World()


def test_an_empty_deployment_is_measured(world: World) -> None:
    measured = world.demand.measure()

    assert tuple(measured) == POOL_NAMES
    assert measured["preprocess"] == Measured(at=50.0, ready=0, draining=0, waiting=0, running=0)
    assert measured["trainer"] == Measured(at=50.0, ready=0, draining=0, waiting=2, running=0, oldest_s=3.0)


def test_draining_replicas_are_not_ready(world: World) -> None:
    world.reports.reported = {"trainer": PoolReports(replicas={"a": IDLE, "b": BUSY, "c": DRAINING})}

    measured = world.demand.measure()["trainer"]

    assert (measured.ready, measured.draining, measured.busy) == (2, 1, 0.25)
    assert measured.requests_per_minute is None


def test_waiting_requests_count_for_the_inference_pool(world: World) -> None:
    gateways = {"a": GatewayReport(waiting=4, per_minute=30.0), "b": GatewayReport(waiting=1, per_minute=15.0)}
    world.reports.reported = {"inference": PoolReports(replicas={"a": BUSY}, gateways=gateways)}

    measured = world.demand.measure()["inference"]

    assert (measured.waiting, measured.running, measured.requests_per_minute) == (6, 0, 45.0)
    assert (measured.ready, measured.busy) == (1, 0.5)


def test_without_the_broker_only_jobs_are_measured(world: World) -> None:
    world.reports.reported = None

    measured = world.demand.measure()

    assert measured["trainer"] == Measured(at=50.0, ready=None, waiting=2, running=0, oldest_s=3.0)
    assert measured["inference"] == Measured(at=50.0, ready=None, waiting=None, running=0, oldest_s=3.0)
