"""The driver for Docker Compose lists, starts and stops containers of a fake engine."""

import json
import threading
from collections.abc import Iterator

import pytest

from contract.errors import Unavailable
from contract.supervision import State
from services.autoscaler.drivers.docker import DockerDriver
from services.autoscaler.drivers.engine import Engine
from tests.unit.autoscaler.drivers.fake_engine import FakeContainer, FakeEngine


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine(
        [
            FakeContainer("inference", 10, state="exited", status="Exited (0) 1 minute ago"),
            FakeContainer("inference", 2, status="Up 3 seconds (health: starting)"),
            FakeContainer("inference", 1),
            FakeContainer("inference", 3, state="dead"),
            FakeContainer("inference", 4, oneoff="True"),
            FakeContainer("inference", 5, project="other"),
            FakeContainer("trainer", 1, state="created", status="Created"),
            FakeContainer("gateway", 1),
        ]
    )
    with engine.served():
        yield engine


@pytest.fixture
def driver(engine: FakeEngine) -> DockerDriver:
    return DockerDriver(Engine(engine.url, "tidepool"))


def join_stops() -> None:
    for thread in threading.enumerate():
        if thread.name.startswith("stop "):
            thread.join(10)


def test_the_replicas_are_the_containers_of_the_projects_pools(driver: DockerDriver, engine: FakeEngine) -> None:
    replicas = driver.replicas()

    assert [(replica.number, replica.state) for replica in replicas["inference"]] == [
        (1, State.READY),
        (2, State.STARTING),
        (10, State.STOPPED),
    ]
    assert [(replica.number, replica.state) for replica in replicas["trainer"]] == [(1, State.STOPPED)]
    assert replicas["preprocess"] == ()
    (query,) = engine.queries
    assert query["all"] == ["1"]
    assert json.loads(query["filters"][0]) == {"label": ["com.docker.compose.project=tidepool"]}


def test_a_container_being_replaced_by_compose_counts_once(driver: DockerDriver, engine: FakeEngine) -> None:
    engine.containers.append(FakeContainer("inference", 1, state="created", prefix="0123456789ab_"))

    replicas = driver.replicas()["inference"]

    assert [(replica.number, replica.state) for replica in replicas[:2]] == [(1, State.READY), (2, State.STARTING)]


def test_a_container_of_docker_run_is_not_a_replica(driver: DockerDriver, engine: FakeEngine) -> None:
    engine.containers.append(FakeContainer("inference", 6, without="container-number"))

    assert [replica.number for replica in driver.replicas()["inference"]] == [1, 2, 10]


def test_the_worker_is_matched_by_the_containers_host_name(driver: DockerDriver) -> None:
    assert driver.replicas()["inference"][0].is_one_of({"inference100:7"})


def test_a_stopped_container_can_be_started(driver: DockerDriver, engine: FakeEngine) -> None:
    driver.start(driver.replicas()["inference"][2])

    assert engine.calls == ["/containers/tidepool-inference-10/start"]
    assert driver.replicas()["inference"][2].state is not State.STOPPED


def test_stop_returns_immediately_while_the_container_drains(driver: DockerDriver, engine: FakeEngine) -> None:
    # when
    driver.stop(driver.replicas()["inference"][0])

    # then
    assert driver.replicas()["inference"][0].state is State.DRAINING

    # and when it has stopped
    engine.stops_allowed.set()
    join_stops()

    # then
    assert driver.replicas()["inference"][0].state is State.STOPPED
    assert engine.calls == ["/containers/tidepool-inference-1/stop?t=40"]


@pytest.mark.parametrize(("configured", "sent"), [(5, 5), (0, 0), (None, 40)])
def test_the_grace_period_is_the_one_of_the_container(
    driver: DockerDriver, engine: FakeEngine, configured: int | None, sent: int
) -> None:
    engine.stops_allowed.set()
    engine.containers[2].stop_timeout = configured

    driver.stop(driver.replicas()["inference"][0])
    join_stops()

    assert engine.calls == [f"/containers/tidepool-inference-1/stop?t={sent}"]


def test_a_failed_stop_can_be_retried(driver: DockerDriver, engine: FakeEngine) -> None:
    replica = driver.replicas()["inference"][0]
    engine.post = lambda path: (403, None)  # type: ignore[method-assign]

    driver.stop(replica)
    join_stops()

    assert driver.replicas()["inference"][0].state is State.READY


def test_an_engine_that_responds_with_an_error_is_unavailable(driver: DockerDriver, engine: FakeEngine) -> None:
    engine.broken = True
    with pytest.raises(Unavailable, match="500"):
        driver.replicas()


def test_an_engine_that_does_not_respond_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        DockerDriver(Engine("tcp://127.0.0.1:1", "tidepool")).replicas()
