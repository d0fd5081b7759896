"""What the autoscaler makes of load, of what people say, and of outages."""

import threading

import pytest
from prometheus_client import REGISTRY

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
from services.storage.pools.pools import Pools, Setting
from services.storage.pools.queues import JobHolders
from tests.examples import TRAIN_REQUEST
from tests.support.clock import FakeClock

UNSEEN = Measured(at=0.0, ready=None, waiting=None, running=None)
IDLE = ReplicaReport(job=False, busy=0.0, draining=False)


class World:
    """A deployment whose clock, load and replicas the test moves."""

    def __init__(self, **counts: int) -> None:
        self.now = 1000.0
        self.clock = FakeClock()
        self.database = Database.in_memory(self.clock)
        self.pools = Pools(self.database)
        self.pools.ensure()
        self.leases: dict[str, Lease] = {}
        self.reports = MemoryReports()
        self.driver = MemoryDriver({"preprocess": 1, "trainer": 1, "inference": 1} | counts)  # type: ignore[arg-type]
        self.surplus = MemoryCordon()
        self.autoscaler = self.another()

    def another(self) -> Autoscaler:
        demand = Demand(self.pools, self.reports, lambda: self.now)
        holders = JobHolders(self.database)
        return Autoscaler(self.pools, demand, holders, self.driver, self.surplus, lambda: self.now)

    def auto(self, pool: PoolName, **policy: float | None) -> None:
        self.pools.set_auto(pool, AutoPool.model_validate({"mode": "auto", **policy}), UNSEEN)

    def requests(self, waiting: int, per_minute: float = 0.0) -> None:
        """So many requests wait, and the replicas that run say that they are there."""
        running = {f"inference-{number}": IDLE for number in self.driver.running["inference"]}
        gateways = {"gateway": GatewayReport(waiting=waiting, per_minute=per_minute)}
        self.reports.said = {"inference": PoolReports(replicas=running, gateways=gateways)}

    def step(self, seconds: float = 1.0) -> bool:
        self.now += seconds
        self.clock.tick(seconds)
        return self.autoscaler.step()

    def hold(self, worker: str) -> None:
        """A worker takes a job."""
        Jobs(self.database).create(TRAIN_REQUEST)
        claim = Leases(self.database).claim(JobKind.TRAIN, worker)
        assert claim
        self.leases[worker] = claim.lease

    def through(self, worker: str) -> None:
        """A worker has no job any more."""
        Leases(self.database).release(self.leases.pop(worker))

    def running(self, pool: PoolName) -> set[int]:
        return self.driver.running[pool]

    def reasons(self, pool: PoolName) -> list[str]:
        return [change.reason for change in self.pools.history(pool, 200).items]


@pytest.fixture
def world() -> World:
    return World()


def test_a_pool_set_by_hand_is_what_was_said(world: World) -> None:
    world.pools.set_manual("inference", 3, UNSEEN)
    world.step()
    assert world.running("inference") == {1, 2, 3}

    world.pools.set_manual("inference", 1, UNSEEN)
    world.step()
    assert world.running("inference") == {1}


def test_from_zero_with_the_first_request_and_back_after_idleness(world: World) -> None:
    # given
    world.auto("inference", min=0, max=4, idle_s=5, quiet_s=3, utilization=None)
    world.requests(0)
    for _ in range(7):
        asleep = world.step()
    assert (world.running("inference"), asleep) == (set(), True)

    # when
    world.requests(1)
    asleep = world.step(0.2)

    # then
    assert (world.running("inference"), asleep) == ({1}, False)

    # and when it was answered
    for second in range(5):
        world.requests(0)
        world.step()
        assert world.running("inference") == {1}, second
    world.requests(0)
    world.step()

    # then
    assert world.running("inference") == set()


def test_more_for_a_backlog_within_bounds(world: World) -> None:
    world.auto("inference", min=1, max=3, backlog_per_replica=4, utilization=None)
    world.requests(100)
    world.step()
    assert world.running("inference") == {1, 2, 3}
    assert world.reasons("inference")[0].startswith("Up from 1 to 3")


def test_who_trains_stays(world: World) -> None:
    # given
    world.pools.set_manual("trainer", 3, UNSEEN)
    world.step()
    world.hold("trainer-3")

    # when
    world.pools.set_manual("trainer", 1, UNSEEN)
    world.step()

    # then
    assert world.running("trainer") == {3}


def test_who_is_too_many_takes_no_other_job_and_goes(world: World) -> None:
    # given
    world.pools.set_manual("trainer", 2, UNSEEN)
    world.step()
    for worker in ("trainer-1", "trainer-2"):
        world.hold(worker)

    # when
    world.pools.set_manual("trainer", 1, UNSEEN)
    world.step()

    # then
    assert world.running("trainer") == {1, 2}
    assert world.surplus.published["trainer"] == {"trainer-2"}

    # and when the other one is through before it, that goes instead
    world.through("trainer-1")
    world.step()
    assert world.running("trainer") == {2}
    world.step()
    assert world.surplus.published["trainer"] == set()


def test_who_trains_goes_where_a_person_wants_nobody(world: World) -> None:
    world.hold("trainer-1")
    world.pools.set_manual("trainer", 0, UNSEEN)
    world.step()
    assert world.running("trainer") == set()


def test_bounds_of_zero_interrupt_no_job(world: World) -> None:
    world.hold("trainer-1")
    world.auto("trainer", min=0, max=0)
    world.step()
    assert world.running("trainer") == {1}


def test_without_the_broker_nothing_shrinks_and_people_are_obeyed(world: World) -> None:
    # given
    world.auto("inference", min=0, max=4, idle_s=2, quiet_s=1)
    world.requests(0)
    world.step()

    # when
    world.reports.said = None
    world.pools.set_manual("trainer", 2, UNSEEN)
    for _ in range(10):
        world.step()

    # then
    assert world.running("inference") == {1}
    assert world.running("trainer") == {1, 2}

    # and when it is back, idleness counts from then on
    world.requests(0)
    world.step()
    assert world.running("inference") == {1}
    for _ in range(3):
        world.step()
    assert world.running("inference") == set()


def test_what_compose_creates_of_a_pool_that_nobody_has_set_is_meant(world: World) -> None:
    world.driver.created_by_people = True
    for created in (3, 1, 2):
        world.driver.most["inference"] = created
        world.driver.running["inference"] = set(range(1, created + 1))

        world.step()

        assert world.running("inference") == set(range(1, created + 1))
        assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (created, created)


def test_what_compose_has_created_is_what_a_person_chooses_from(world: World) -> None:
    # given three that Compose has made
    world.driver.created_by_people = True
    world.driver.most["inference"] = 3
    world.step()

    # when
    world.pools.set_manual("inference", 2, UNSEEN)
    another = world.another()
    another.step()

    # then
    assert world.running("inference") == {1, 2}
    assert world.pools.get("inference").desired == 2


def test_a_pool_that_follows_its_load_only_knows_how_many_there_are(world: World) -> None:
    world.driver.created_by_people = True
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(100)
    world.driver.most["inference"] = 2

    world.step()

    assert world.running("inference") == {1, 2}
    assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (4, 2)


def test_a_stack_has_room_for_more_than_is_meant(world: World) -> None:
    world.step()

    assert world.running("inference") == {1}
    assert (world.pools.get("inference").desired, world.pools.get("inference").created) == (1, 8)


def test_without_its_driver_the_pool_is_what_was_decided_later(world: World) -> None:
    world.driver.away = True
    world.auto("inference", min=2, max=4)
    world.step()
    assert world.running("inference") == {1}

    world.driver.away = False
    world.step()
    assert world.running("inference") == {1, 2}


def test_what_a_person_said_in_between_stands(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a person who speaks while the autoscaler decides
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(100)
    decide = loop.decide

    def late(*arguments: object) -> object:
        world.pools.set_manual("inference", 2, UNSEEN)
        return decide(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "decide", late)

    # when
    world.step()

    # then
    assert world.running("inference") == {1, 2}
    assert world.reasons("inference")[0] == "set by hand to 2"


def test_two_autoscalers_make_one_change(world: World) -> None:
    world.auto("inference", min=1, max=4, backlog_per_replica=4, utilization=None)
    world.requests(8)
    other = world.another()
    for _ in range(3):
        world.step()
        other.step()
    assert world.running("inference") == {1, 2}
    assert len(world.reasons("inference")) == 2


def test_metrics(world: World) -> None:
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


def test_it_goes_on_after_an_outage_of_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # given
    world.pools.set_manual("trainer", 2, UNSEEN)
    stop, calls, listed = threading.Event(), [], world.pools.list

    def failing_once() -> tuple[Setting, ...]:
        calls.append(1)
        if len(calls) == 1:
            raise DatabaseUnavailable("away")
        stop.set()
        return listed()

    monkeypatch.setattr(world.pools, "list", failing_once)
    monkeypatch.setattr(loop, "DECIDE_S", 0.0)

    # when
    world.autoscaler.run(stop)

    # then
    assert world.running("trainer") == {1, 2}
