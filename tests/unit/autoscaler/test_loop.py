"""The autoscaler's reaction to load, manual settings and outages."""

import threading

import pytest
from prometheus_client import REGISTRY

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable
from contract.jobs import JobKind
from contract.pools import AutoPool, Measured, PoolName
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from messaging.in_memory import MemoryCordon, MemoryReports
from services.autoscaler import loop
from services.autoscaler.drivers.in_memory import MemoryDriver
from services.autoscaler.loop import Autoscaler
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.pools.demand import Demand
from services.storage.pools.pools import Pools, PoolSetting
from services.storage.pools.queues import JobHolders
from tests.examples import TRAIN_REQUEST
from tests.support.clock import FakeClock

UNMEASURED = Measured(at=0.0, ready=None, waiting=None, running=None)
IDLE = ReplicaReport(job=False, busy=0.0, draining=False)


class World:
    """A deployment whose clock, load and replicas the test controls."""

    def __init__(self, **counts: int) -> None:
        self.now = 1000.0
        self.clock = FakeClock()
        self.database = Database.in_memory(self.clock)
        self.pools = Pools(self.database)
        self.pools.ensure()
        self.leases: dict[str, Lease] = {}
        self.reports = MemoryReports()
        self.driver = MemoryDriver({"preprocess": 1, "trainer": 1, "inference": 1} | counts)  # type: ignore[arg-type]
        self.cordon = MemoryCordon()
        self.autoscaler = self.new_autoscaler()

    def new_autoscaler(self) -> Autoscaler:
        demand = Demand(self.pools, self.reports, lambda: self.now)
        job_holders = JobHolders(self.database)
        return Autoscaler(self.pools, demand, job_holders, self.driver, self.cordon, lambda: self.now)

    def auto(self, pool: PoolName, **policy: float | None) -> None:
        self.pools.set_auto(pool, AutoPool.model_validate({"mode": "auto", **policy}), UNMEASURED)

    def requests(self, waiting: int, per_minute: float = 0.0) -> None:
        """Report waiting requests, and the running replicas as idle."""
        running = {f"inference-{number}": IDLE for number in self.driver.running["inference"]}
        gateways = {"gateway": GatewayReport(waiting=waiting, per_minute=per_minute)}
        self.reports.reported = {"inference": PoolReports(replicas=running, gateways=gateways)}

    def step(self, seconds: float = 1.0) -> bool:
        self.now += seconds
        self.clock.tick(seconds)
        return self.autoscaler.step()

    def claim(self, worker: str) -> None:
        """Let a worker claim a job."""
        Jobs(self.database, DEFAULT_PROJECT).create(TRAIN_REQUEST)
        claim = Leases(self.database).claim(JobKind.TRAIN, worker)
        assert claim
        self.leases[worker] = claim.lease

    def release(self, worker: str) -> None:
        """Let a worker release its job."""
        Leases(self.database).release(self.leases.pop(worker))

    def running(self, pool: PoolName) -> set[int]:
        return self.driver.running[pool]

    def reasons(self, pool: PoolName) -> list[str]:
        return [change.reason for change in self.pools.history(pool, 200).items]


@pytest.fixture
def world() -> World:
    return World()


def test_a_manual_setting_is_applied(world: World) -> None:
    world.pools.set_manual("inference", 3, UNMEASURED)
    world.step()
    assert world.running("inference") == {1, 2, 3}

    world.pools.set_manual("inference", 1, UNMEASURED)
    world.step()
    assert world.running("inference") == {1}


def test_a_pool_starts_with_the_first_request_and_returns_to_zero_when_idle(world: World) -> None:
    # given
    world.auto("inference", min=0, max=4, idle_s=5, quiet_s=3, utilization=None)
    world.requests(0)
    for _ in range(7):
        at_zero = world.step()
    assert (world.running("inference"), at_zero) == (set(), True)

    # when
    world.requests(1)
    at_zero = world.step(0.2)

    # then
    assert (world.running("inference"), at_zero) == ({1}, False)

    # and when the request was answered
    for second in range(5):
        world.requests(0)
        world.step()
        assert world.running("inference") == {1}, second
    world.requests(0)
    world.step()

    # then
    assert world.running("inference") == set()


def test_a_backlog_scales_up_within_the_bounds(world: World) -> None:
    world.auto("inference", min=1, max=3, backlog_per_replica=4, utilization=None)
    world.requests(100)
    world.step()
    assert world.running("inference") == {1, 2, 3}
    assert world.reasons("inference")[0].startswith("Up from 1 to 3")


def test_a_training_replica_is_not_stopped(world: World) -> None:
    # given
    world.pools.set_manual("trainer", 3, UNMEASURED)
    world.step()
    world.claim("trainer-3")

    # when
    world.pools.set_manual("trainer", 1, UNMEASURED)
    world.step()

    # then
    assert world.running("trainer") == {3}


def test_an_excess_busy_replica_is_cordoned_and_then_stopped(world: World) -> None:
    # given
    world.pools.set_manual("trainer", 2, UNMEASURED)
    world.step()
    for worker in ("trainer-1", "trainer-2"):
        world.claim(worker)

    # when
    world.pools.set_manual("trainer", 1, UNMEASURED)
    world.step()

    # then
    assert world.running("trainer") == {1, 2}
    assert world.cordon.published["trainer"] == {"trainer-2"}

    # and when the other replica finishes first, it is stopped instead
    world.release("trainer-1")
    world.step()
    assert world.running("trainer") == {2}
    world.step()
    assert world.cordon.published["trainer"] == set()


def test_a_manual_setting_of_zero_stops_a_training_replica(world: World) -> None:
    world.claim("trainer-1")
    world.pools.set_manual("trainer", 0, UNMEASURED)
    world.step()
    assert world.running("trainer") == set()


def test_bounds_of_zero_do_not_interrupt_a_job(world: World) -> None:
    world.claim("trainer-1")
    world.auto("trainer", min=0, max=0)
    world.step()
    assert world.running("trainer") == {1}


def test_without_the_broker_no_pool_scales_down_and_manual_settings_apply(world: World) -> None:
    # given
    world.auto("inference", min=0, max=4, idle_s=2, quiet_s=1)
    world.requests(0)
    world.step()

    # when
    world.reports.reported = None
    world.pools.set_manual("trainer", 2, UNMEASURED)
    for _ in range(10):
        world.step()

    # then
    assert world.running("inference") == {1}
    assert world.running("trainer") == {1, 2}

    # and when the broker is back, idleness counts from then on
    world.requests(0)
    world.step()
    assert world.running("inference") == {1}
    for _ in range(3):
        world.step()
    assert world.running("inference") == set()


def test_containers_that_compose_creates_set_the_size_of_an_unset_pool(world: World) -> None:
    world.driver.created_by_people = True
    for created in (3, 1, 2):
        world.driver.most["inference"] = created
        world.driver.running["inference"] = set(range(1, created + 1))

        world.step()

        assert world.running("inference") == set(range(1, created + 1))
        assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (created, created)


def test_a_manual_setting_applies_to_the_containers_that_compose_created(world: World) -> None:
    # given three containers that Compose has created
    world.driver.created_by_people = True
    world.driver.most["inference"] = 3
    world.step()

    # when
    world.pools.set_manual("inference", 2, UNMEASURED)
    world.new_autoscaler().step()

    # then
    assert world.running("inference") == {1, 2}
    assert world.pools.get("inference").desired == 2


def test_created_containers_do_not_change_the_desired_count_of_an_auto_pool(world: World) -> None:
    world.driver.created_by_people = True
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(100)
    world.driver.most["inference"] = 2

    world.step()

    assert world.running("inference") == {1, 2}
    assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (4, 2)


def test_replicas_that_could_start_are_recorded_as_created(world: World) -> None:
    world.step()

    assert world.running("inference") == {1}
    assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (1, 8)


def test_decisions_made_without_the_driver_are_applied_later(world: World) -> None:
    world.driver.away = True
    world.auto("inference", min=2, max=4)
    world.step()
    assert world.running("inference") == {1}

    world.driver.away = False
    world.step()
    assert world.running("inference") == {1, 2}


def test_a_manual_setting_made_during_a_decision_wins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a manual setting made while the autoscaler decides
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(100)
    decide = loop.decide

    def decide_late(*arguments: object) -> object:
        world.pools.set_manual("inference", 2, UNMEASURED)
        return decide(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "decide", decide_late)

    # when
    world.step()

    # then
    assert world.running("inference") == {1, 2}
    assert world.reasons("inference")[0] == "set by hand to 2"


def test_two_autoscalers_make_a_change_only_once(world: World) -> None:
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(8)
    other = world.new_autoscaler()
    for _ in range(3):
        world.step()
        other.step()
    assert world.running("inference") == {1, 2}
    assert len(world.reasons("inference")) == 2


def test_decisions_and_replicas_are_exported_as_metrics(world: World) -> None:
    decisions = {"pool": "inference", "direction": "up"}
    before = REGISTRY.get_sample_value("tidepool_scaling_decisions_total", decisions) or 0
    world.auto("inference", min=1, max=3, backlog_per_replica=4, utilization=None)
    world.requests(12)

    world.step()
    world.step()

    assert REGISTRY.get_sample_value("tidepool_scaling_decisions_total", decisions) == before + 1
    assert REGISTRY.get_sample_value("tidepool_pool_desired", {"pool": "inference"}) == 3
    ready = {"pool": "inference", "state": "ready"}
    assert REGISTRY.get_sample_value("tidepool_pool_replicas", ready) == 3


@pytest.mark.parametrize("error", [DatabaseUnavailable("away"), ZeroDivisionError()], ids=repr)
def test_it_continues_after_an_outage_of_the_database_and_after_any_error(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    # given
    world.pools.set_manual("trainer", 2, UNMEASURED)
    stop, calls, list_pools = threading.Event(), [], world.pools.list

    def failing_once() -> tuple[PoolSetting, ...]:
        calls.append(1)
        if len(calls) == 1:
            raise error
        stop.set()
        return list_pools()

    monkeypatch.setattr(world.pools, "list", failing_once)
    monkeypatch.setattr(loop, "DECIDE_S", 0.0)

    # when
    world.autoscaler.run(stop)

    # then
    assert world.running("trainer") == {1, 2}
