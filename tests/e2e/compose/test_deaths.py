"""Work survives containers that crash, stop or restart."""

import time
from pathlib import Path

import pytest

from contract.jobs import Job, JobState
from contract.kinds.train import TrainResult
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import until
from tests.support.images import png
from tidepool.demo.workflow import DemoResult
from tidepool_client import Client

pytestmark = pytest.mark.compose

LONG = 60  # epochs


@pytest.mark.parametrize("service", ["inference", "gateway", "preprocess", "sweep"])
def test_a_crashed_service_is_restarted(up: Deployment, client: Client, demo: DemoResult, service: str) -> None:
    (container,) = up.containers(service)
    before = up.inspect(container["Name"])["RestartCount"]

    up.crash(service)

    until(lambda: up.inspect(container["Name"])["RestartCount"] > before)
    up.until_healthy()
    assert client.predict(demo.model.name, png()).model == demo.model.name


def test_training_continues_after_its_worker_was_killed(up: Deployment, client: Client, demo: DemoResult) -> None:
    # given a training job that has saved a checkpoint
    job = _training(client, demo, "survivor")

    # when its worker crashes
    up.crash("trainer")

    # then another attempt finishes it
    ended = client.jobs.wait(job.id)
    assert ended.attempt == 2
    assert TrainResult.model_validate(ended.result).model == "survivor@1"


def test_a_stopped_worker_gives_its_job_back(up: Deployment, client: Client, demo: DemoResult) -> None:
    job = _training(client, demo, "mover")

    started = time.monotonic()
    up.compose("restart", "trainer")
    stopped_after = time.monotonic() - started

    assert stopped_after < 40  # the grace period; otherwise it was killed
    assert client.jobs.wait(job.id).state is JobState.SUCCEEDED


def test_nothing_is_lost_when_all_servers_restart(
    up: Deployment, client: Client, demo: DemoResult, archive: Path
) -> None:
    accepted = [client.datasets.upload(f"kept-{number}", archive) for number in range(3)]

    up.compose("restart", "redis", "postgres", "s3")
    up.until_healthy()

    assert {client.jobs.wait(job.id).state for job in accepted} == {JobState.SUCCEEDED}
    assert client.predict(demo.model.name, png()).model == demo.model.name


def _training(client: Client, demo: DemoResult, model: str) -> Job:
    """Start a training job and wait until it has saved a checkpoint."""
    job = client.train(dataset=demo.dataset.name, model=model, epochs=LONG)
    until(lambda: client.jobs.get(job.id).progress.fraction > 3 / LONG)
    assert client.jobs.get(job.id).state is JobState.RUNNING
    return job
