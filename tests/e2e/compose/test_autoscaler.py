"""The autoscaler starts and stops real containers, by load and by hand, but never one that runs a job."""

import time
from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import predicting, until
from tests.support.images import png
from tidepool.demo.workflow import DemoResult
from tidepool_client import Client

pytestmark = pytest.mark.compose

LONG = 40  # epochs
HELD_BY = (
    "PGPASSWORD=$(cat /secrets/password) psql -h 127.0.0.1 -U tidepool -tAc \"select worker from jobs where id = '{}'\""
)


class Pool:
    """The containers of one pool, and the pool in the API."""

    def __init__(self, deployment: Deployment, client: Client, name: str) -> None:
        self._deployment = deployment
        self._client = client
        self.name = name

    def running(self) -> set[int]:
        """Return the numbers of the running containers."""
        return {self._number(container["Name"]) for container in self._containers() if container["State"] == "running"}

    def failed(self) -> list[str]:
        return [
            f"{container['Name']} exited with {container['ExitCode']}"
            for container in self._containers()
            if container["State"] == "exited" and container["ExitCode"] != 0
        ]

    def number_of(self, host: str) -> int:
        """Return the number of the container with this host name."""
        return next(self._number(item["Name"]) for item in self._containers() if item["ID"].startswith(host))

    @property
    def ready(self) -> int | None:
        return next(pool.replicas.ready for pool in self._client.pools.list() if pool.name == self.name)

    def _containers(self) -> list[dict[str, str]]:
        return self._deployment.containers(self.name)

    @staticmethod
    def _number(name: str) -> int:
        return int(name.rpartition("-")[2])


@pytest.fixture(scope="module")
def inference(up: Deployment, client: Client) -> Iterator[Pool]:
    """The inference pool with three containers."""
    up.compose("up", "--detach", "--no-recreate", "--scale", "inference=3", "--scale", "trainer=2")
    up.until_healthy()
    pool = Pool(up, client, "inference")
    until(lambda: pool.ready == 3)
    yield pool
    up.compose("up", "--detach", "--no-recreate")
    for name in ("inference", "trainer"):
        client.pools.scale(name, 1)
    up.until_healthy()


@pytest.fixture
def trainers(inference: Pool, up: Deployment, client: Client) -> Pool:
    return Pool(up, client, "trainer")


def test_scaling_by_hand_starts_and_stops_containers(inference: Pool, client: Client) -> None:
    for count in (1, 2):
        client.pools.scale("inference", count)
        until(lambda count=count: inference.running() == set(range(1, count + 1)) and inference.ready == count)
    assert inference.failed() == []


def test_the_first_request_starts_a_container_from_zero(inference: Pool, client: Client, demo: DemoResult) -> None:
    client.pools.autoscale("inference", min=0, max=3, idle_s=1.0, quiet_s=1.0)
    waited = []
    for _ in range(3):
        until(lambda: inference.running() == set() and inference.ready == 0)
        started = time.monotonic()
        prediction = client.predict(demo.model.name, png())
        waited.append(time.monotonic() - started)
        assert prediction.model == demo.model.name
    print(f"\nfrom zero, seconds to the first response: {', '.join(f'{seconds:.2f}' for seconds in sorted(waited))}")
    assert inference.failed() == []


def test_heavy_load_scales_out_to_the_max_and_back_to_zero(inference: Pool, client: Client, demo: DemoResult) -> None:
    client.pools.autoscale("inference", min=0, max=3, idle_s=2.0, quiet_s=2.0, backlog_per_replica=2.0)

    with predicting(client, demo.model.name, clients=12) as failures:
        until(lambda: inference.ready == 3)
    until(lambda: inference.running() == set())

    assert failures == []
    assert inference.failed() == []
    reasons = [change.reason for change in client.pools.history("inference")]
    assert any("wait" in reason for reason in reasons)


def test_scaling_continues_after_the_autoscaler_and_the_docker_proxy_crash(
    inference: Pool, client: Client, up: Deployment
) -> None:
    client.pools.scale("inference", 1)
    until(lambda: inference.running() == {1})

    for service in ("autoscaler", "docker-proxy"):
        up.crash(service)
    client.pools.scale("inference", 2)

    until(lambda: inference.running() == {1, 2})
    assert inference.failed() == []


def test_a_container_running_a_job_is_not_stopped_by_scale_in(
    trainers: Pool, client: Client, demo: DemoResult, up: Deployment
) -> None:
    # given a job in the second of two containers
    jobs = [client.train(dataset=demo.dataset.name, model=f"stays-{n}", epochs=LONG) for n in (1, 2)]
    until(lambda: all(client.jobs.get(job.id).state is JobState.RUNNING for job in jobs))
    by_container = {trainers.number_of(_host(up, job.id)): job for job in jobs}
    assert by_container.keys() == {1, 2}
    client.jobs.cancel(by_container[1].id)

    # when the pool is scaled in to one
    client.pools.scale("trainer", 1)

    # then the idle container stops, and the other finishes its job at the first attempt
    until(lambda: trainers.running() == {2})
    ended = client.jobs.wait(by_container[2].id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)


def _host(up: Deployment, job: object) -> str:
    return up.compose("exec", "-T", "postgres", "sh", "-c", HELD_BY.format(job)).partition(":")[0].strip()
