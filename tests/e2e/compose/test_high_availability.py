"""compose.ha.yml, started: work goes on after the loss of Redis's master, PostgreSQL's primary and a gateway."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rich.console import Console

from contract.jobs import JobState
from tests.e2e.compose.engine import BUILD_S, Deployment, run
from tests.e2e.compose.loads import predicting, until
from tests.support.deployment import compose
from tests.support.images import png
from tests.support.servers import free_port
from tidepool.demo.progress import ProgressDisplay
from tidepool.demo.workflow import run_workflow
from tidepool_client import Client

pytestmark = pytest.mark.compose

PROJECT = "tidepool-e2e-ha"
STANDBYS = ("postgres-2", "postgres-3")
SMALL = {f"TIDEPOOL_{pool}_REPLICAS": "1" for pool in ("PREPROCESS", "TRAINER", "INFERENCE")}
HERE = Path(__file__).parent

RECEIVED = "SELECT pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')"
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'"


class Redundant(Deployment):
    """The deployment with compose.ha.yml, and what its operator asks the servers."""

    def redis_master(self) -> str:
        return self._redis("-p 26379 SENTINEL get-master-addr-by-name tidepool").split()[0]

    def redis_replicas(self) -> int:
        """Return how many replicas follow the master of Redis."""
        replication = self._redis(f"-h {self.redis_master()} --user sentinel info replication")
        return int(replication.partition("connected_slaves:")[2].split()[0])

    def postgres(self, server: str, query: str) -> int:
        return int(self.compose("exec", "-T", server, "psql", "-U", "tidepool", "-tAc", query))

    def _redis(self, arguments: str) -> str:
        command = f"REDISCLI_AUTH=$(cat /secrets/password) redis-cli {arguments}"
        return self.compose("exec", "-T", "sentinel-1", "sh", "-c", command)


def _servers() -> Mapping[str, str]:
    """Build the servers' images that the engine lacks, and return the variables that name them."""
    if "TIDEPOOL_ENGINE" not in os.environ:
        return {}
    for name, *arguments in (
        ("haproxy",),
        ("postgres", "--build-arg", f"BASE={compose()['services']['postgres']['image']}"),
    ):
        run("docker", "build", "-q", "-t", f"{PROJECT}-{name}", *arguments, HERE / name, seconds=BUILD_S)
    return {f"TIDEPOOL_{name.upper()}_IMAGE": f"{PROJECT}-{name}" for name in ("haproxy", "postgres")}


@pytest.fixture(scope="module")
def redundant(images: Mapping[str, str]) -> Iterator[Redundant]:
    """The deployment, started without any preparation, and healthy."""
    overlay = {
        "COMPOSE_FILE": "docker-compose.yml:compose.ha.yml",
        "TIDEPOOL_TRAINERS_SUBNET": "172.31.250.0/24",  # beside the other deployment
    }
    with Redundant(PROJECT, free_port(), images | _servers() | overlay | SMALL) as deployment:
        deployment.up()
        yield deployment


@pytest.fixture(scope="module")
def user(redundant: Redundant) -> Iterator[Client]:
    with Client(redundant.url, redundant.compose("run", "--rm", "secrets", "admin-key").strip()) as client:
        yield client


@pytest.fixture(scope="module")
def model(user: Client, archive: Path) -> str:
    """The model of the demo's workflow."""
    with ProgressDisplay(Console(quiet=True)) as display:
        return run_workflow(user, archive, recipe={"epochs": 1}, display=display).model.name


def test_jobs_and_predictions_succeed_after_the_master_of_redis_was_killed(
    redundant: Redundant, user: Client, model: str, archive: Path
) -> None:
    before = user.datasets.upload("before-redis", archive)
    master = redundant.redis_master()

    redundant.compose("kill", master)
    until(lambda: redundant.redis_master() != master)
    after = user.datasets.upload("after-redis", archive)

    assert {user.jobs.wait(job.id).state for job in (before, after)} == {JobState.SUCCEEDED}
    assert user.predict(model, png()).model == model
    redundant.compose("start", master)
    until(lambda: redundant.redis_replicas() == 2)
    assert redundant.redis_master() != master


def test_no_job_is_lost_when_a_standby_is_promoted_after_the_primary_was_killed(
    redundant: Redundant, user: Client, model: str, archive: Path
) -> None:
    accepted = [user.datasets.upload(f"kept-{number}", archive) for number in range(3)]

    redundant.compose("kill", "postgres")
    promoted = max(STANDBYS, key=lambda standby: redundant.postgres(standby, RECEIVED))
    redundant.compose("exec", "-T", "--user", "postgres", promoted, "pg_ctl", "promote")

    assert {user.jobs.wait(job.id).state for job in accepted} == {JobState.SUCCEEDED}
    assert user.predict(model, png()).model == model

    # the old primary does not start as it was, even if the new one is down
    until(lambda: redundant.postgres(promoted, STREAMING) == 1)
    redundant.compose("stop", promoted)
    redundant.compose("start", "postgres")
    until(lambda: "docker compose run --rm --no-deps postgres rejoin" in redundant.compose("logs", "postgres"))

    # and comes back as a standby
    redundant.compose("stop", "postgres")
    redundant.compose("start", promoted)
    redundant.compose("run", "--rm", "--no-deps", "postgres", "rejoin")
    redundant.compose("start", "postgres")
    until(lambda: redundant.postgres(promoted, STREAMING) == 2)
    redundant.until_healthy()


def test_requests_go_on_after_a_gateway_was_killed(redundant: Redundant, user: Client, model: str) -> None:
    gateway, _ = redundant.containers("gateway")

    with predicting(user, model, clients=2) as failures:
        run("docker", "kill", gateway["Name"])
        for _ in range(3):
            assert user.datasets.list()
    assert failures == []
