"""The autoscaler starts and stops real containers: for load, for people, and never under a job."""

import time
from collections.abc import Iterator

import pytest

from contract.jobs import JobState
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import predicting, until
from tests.support.images import png
from tidepool.client import Client
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose

LONG = 40  # epochs
HELD_BY = (
    "PGPASSWORD=$(cat /secrets/password) psql -h 127.0.0.1 -U tidepool -tAc \"select worker from jobs where id = '{}'\""
)


class Pool:
    """The containers of one pool, and what the API says of it."""

    def __init__(self, deployment: Deployment, client: Client, name: str) -> None:
        self._deployment = deployment
        self._client = client
        self.name = name

    def running(self) -> set[int]:
        """The numbers of the containers that run."""
        return {self._number(one["Name"]) for one in self._containers() if one["State"] == "running"}

    def ended_badly(self) -> list[str]:
        return [one["Name"] for one in self._containers() if one["State"] == "exited" and one["ExitCode"] != 0]

    def number_of(self, host: str) -> int:
        """The container with this host name."""
        return next(self._number(one["Name"]) for one in self._containers() if one["ID"].startswith(host))

    @property
    def ready(self) -> int | None:
        return next(pool.replicas.ready for pool in self._client.pools() if pool.name == self.name)

    def _containers(self) -> list[dict[str, str]]:
        return self._deployment.containers(self.name)

    @staticmethod
    def _number(name: str) -> int:
        return int(name.rpartition("-")[2])


@pytest.fixture(scope="module")
def inference(up: Deployment, client: Client) -> Iterator[Pool]:
    """Three containers to choose from."""
    up.compose("up", "--detach", "--no-recreate", "--scale", "inference=3", "--scale", "trainer=2")
    up.until_healthy()
    pool = Pool(up, client, "inference")
    until(lambda: pool.ready == 3)
    yield pool
    up.compose("up", "--detach", "--no-recreate")
    for name in ("inference", "trainer"):
        client.scale(name, 1)
    up.until_healthy()


@pytest.fixture
def trainers(inference: Pool, up: Deployment, client: Client) -> Pool:
    return Pool(up, client, "trainer")


def test_as_many_as_a_person_says(inference: Pool, client: Client) -> None:
    for count in (1, 2):
        client.scale("inference", count)
        until(lambda wanted=count: inference.running() == set(range(1, wanted + 1)) and inference.ready == wanted)
    assert inference.ended_badly() == []


def test_from_zero_with_the_first_request(inference: Pool, client: Client, journey: Journey) -> None:
    client.autoscale("inference", min=0, max=3, idle_s=1.0, quiet_s=1.0)
    waited = []
    for _ in range(3):
        until(lambda: inference.running() == set() and inference.ready == 0)
        asked = time.monotonic()
        answer = client.predict(journey.model.name, png())
        waited.append(time.monotonic() - asked)
        assert answer.model == journey.model.name
    print(f"\nfrom zero, seconds to the first answer: {', '.join(f'{one:.2f}' for one in sorted(waited))}")
    assert inference.ended_badly() == []


def test_with_a_crowd_to_the_most_and_back(inference: Pool, client: Client, journey: Journey) -> None:
    client.autoscale("inference", min=0, max=3, idle_s=2.0, quiet_s=2.0, backlog_per_replica=2.0)

    with predicting(client, journey.model.name, people=12) as failures:
        until(lambda: inference.ready == 3)
    until(lambda: inference.running() == set())

    assert failures == []
    assert inference.ended_badly() == []
    reasons = [change.reason for change in client.pool_history("inference")]
    assert any("wait" in reason for reason in reasons)


def test_it_goes_on_after_it_and_its_way_to_the_engine_have_died(
    inference: Pool, client: Client, up: Deployment
) -> None:
    client.scale("inference", 1)
    until(lambda: inference.running() == {1})

    for service in ("autoscaler", "docker-proxy"):
        up.crash(service)
    client.scale("inference", 2)

    until(lambda: inference.running() == {1, 2})


def test_who_trains_stays(trainers: Pool, client: Client, journey: Journey, up: Deployment) -> None:
    # given a job in the second of two containers
    jobs = [client.train(dataset=journey.dataset.name, model=f"stays-{n}", epochs=LONG) for n in (1, 2)]
    until(lambda: all(client.job(job.id).state is JobState.RUNNING for job in jobs))
    by_container = {trainers.number_of(_host(up, job.id)): job for job in jobs}
    assert by_container.keys() == {1, 2}
    client.cancel(by_container[1].id)

    # when one is enough
    client.scale("trainer", 1)

    # then the one without a job goes, and the other one finishes its job at the first attempt
    until(lambda: trainers.running() == {2})
    ended = client.wait(by_container[2].id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 1)


def _host(up: Deployment, job: object) -> str:
    return up.compose("exec", "-T", "postgres", "sh", "-c", HELD_BY.format(job)).partition(":")[0].strip()
