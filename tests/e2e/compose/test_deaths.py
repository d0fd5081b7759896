"""Containers that die, are told to stop, or are restarted, and what becomes of the work."""

import time
from pathlib import Path

import pytest

from contract.jobs import Job, JobState
from contract.kinds.train import TrainResult
from tests.e2e.compose.engine import Deployment
from tests.e2e.compose.loads import until
from tests.pictures import png
from tidepool.client import Client
from tidepool.demo.road import Journey

pytestmark = pytest.mark.compose

LONG = 60  # epochs


@pytest.mark.parametrize("service", ["inference", "gateway", "preprocess", "sweep"])
def test_a_service_that_dies_comes_back(up: Deployment, client: Client, journey: Journey, service: str) -> None:
    (container,) = up.containers(service)
    before = up.inspect(container["Name"])["RestartCount"]

    up.crash(service)

    until(lambda: up.inspect(container["Name"])["RestartCount"] > before)
    up.until_healthy()
    assert client.predict(journey.model.name, png()).model == journey.model.name


def test_training_goes_on_after_its_worker_was_killed(up: Deployment, client: Client, journey: Journey) -> None:
    # given a training job that has saved a checkpoint
    job = _training(client, journey, "survivor")

    # when its worker dies
    up.crash("trainer")

    # then another attempt ends it
    ended = client.wait(job.id)
    assert ended.attempt == 2
    assert TrainResult.model_validate(ended.result).model == "survivor@1"


def test_a_worker_that_is_told_to_stop_gives_its_job_back(up: Deployment, client: Client, journey: Journey) -> None:
    job = _training(client, journey, "mover")

    started = time.monotonic()
    up.compose("restart", "trainer")
    stopped_after = time.monotonic() - started

    assert stopped_after < 40  # or it was killed
    assert client.wait(job.id).state is JobState.SUCCEEDED


def test_all_servers_restart_and_nothing_is_lost(
    up: Deployment, client: Client, journey: Journey, archive: Path
) -> None:
    accepted = [client.upload_dataset(f"kept-{number}", archive) for number in range(3)]

    up.compose("restart", "redis", "postgres", "s3")
    up.until_healthy()

    assert {client.wait(job.id).state for job in accepted} == {JobState.SUCCEEDED}
    assert client.predict(journey.model.name, png()).model == journey.model.name


def _training(client: Client, journey: Journey, model: str) -> Job:
    """A job that trains and has saved a checkpoint."""
    job = client.train(dataset=journey.dataset.name, model=model, epochs=LONG)
    until(lambda: client.job(job.id).progress.fraction > 3 / LONG)
    assert client.job(job.id).state is JobState.RUNNING
    return job
