"""The data of an older release is migrated and goes on; a backup of it, made while a job runs, is a whole stack."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from contract.jobs import Job, JobState
from contract.kinds.train import TrainResult
from services.storage.database import Database
from services.storage.tables import jobs
from tests.e2e.older_release.make import IMAGES, unpack
from tests.e2e.running import Running, started
from tidepool.stack.home import Home
from tidepool_client import Client

LONG = {"init_from": "pets@1", "epochs": 1000, "patience": 1000}
EPOCHS = 3  # after which a checkpoint exists


@pytest.fixture(scope="module")
def answers(home: Path) -> Any:
    """The answers of the older release, whose data is in the folder of the stack."""
    return unpack(home)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("older") / "home"


@pytest.fixture(scope="module")
def running(home: Path, answers: Any) -> Iterator[Running]:
    (home / "api-key").chmod(0o600)
    with started(home, TIDEPOOL_GATEWAYS="2") as stack:
        yield stack


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with Client(running.url, running.key) as client:
        yield client


def predicted(client: Client) -> list[Any]:
    answers = (client.predict("pets@production", image, top_k=2) for image in IMAGES)
    return [[prediction.model_dump() for prediction in answer.predictions] for answer in answers]


def scores(answers: list[Any]) -> dict[tuple[int, str], float]:
    """Return the score of each class, by the number of the image and the label."""
    return {(number, row["label"]): row["score"] for number, answer in enumerate(answers) for row in answer}


def test_what_an_older_release_stored_is_listed(client: Client) -> None:
    assert [dataset.name for dataset in client.datasets.list()] == ["pets"]
    dataset = client.datasets.version("pets@1")
    assert (dataset.classes, dataset.counts.train) == (("cat", "dog"), 32)
    model = client.models.version("pets@1")
    assert (model.dataset, model.labels) == ("pets@1", ("cat", "dog"))
    assert {alias.alias: alias.version for alias in client.models.get("pets").aliases} == {"production": 1}
    states = {(job.kind, job.state) for job in client.jobs.list()}
    assert states >= {(kind, JobState.SUCCEEDED) for kind in ("preprocess", "train", "evaluate")}


def test_two_gateways_answer(running: Running) -> None:
    assert running.states("gateway") == ["ready", "ready"]
    listed = [running.curl(f"{running.url}/v1/models/pets")[0] for _ in range(16)]  # each by a connection of its own
    assert listed == [200] * 16


def test_a_model_of_an_older_release_gives_the_same_answers(client: Client, answers: Any) -> None:
    assert scores(predicted(client)) == pytest.approx(scores(answers), abs=1e-4)


def test_a_backup_of_a_busy_stack_serves_and_trains(running: Running, client: Client, answers: Any) -> None:
    # given a training from the older model, which has saved a checkpoint
    job = client.train(dataset="pets@1", model="pets", **LONG)
    for event in client.jobs.events(job.id):
        if event.kind == "metrics" and event.data["epoch"] >= EPOCHS:
            break

    # when the stack is backed up meanwhile, and restored into another folder
    backup = running.home.parent / "backup.tar"
    done = running.tidepool("backup", str(backup))
    assert done.returncode == 0, done.stderr
    assert client.jobs.get(job.id).state is JobState.RUNNING
    running.tidepool("down")
    other = running.home.parent / "restored"
    restore = Running(other, "", running.environment | {"TIDEPOOL_HOME": str(other)}).tidepool("restore", str(backup))
    assert restore.returncode == 0, restore.stderr

    expire_leases(other)

    # then the stack starts on another port, with the same key and the same answers
    with started(other) as restored, Client(restored.url, running.key) as again:
        assert restored.url != running.url
        assert scores(predicted(again)) == pytest.approx(scores(answers), abs=1e-4)

        # and the training goes on from its checkpoint
        goes_on = _running_again(again, job.id)
        assert goes_on.attempt == 2
        epochs = [event.data["epoch"] for event in _events_until_epoch(again, job.id, 2 * EPOCHS)]
        assert epochs == sorted(set(epochs))
        again.jobs.cancel(job.id, keep_best=True)
        result = TrainResult.model_validate(again.jobs.wait(job.id).result)
        assert result.model == "pets@2"
        assert again.predict(result.model, IMAGES[0]).version == 2


def expire_leases(home: Path) -> None:
    """End the leases now instead of within a minute: in the backup, the first attempt still has its own."""
    database = Database.connect(f"sqlite:///{Home.at(home).data / 'tidepool.db'}")
    with database.write() as connection:
        leased = jobs.c.lease_until.is_not(None)
        connection.execute(update(jobs).where(leased).values(lease_until=database.now()))
    database.engine.dispose()


def _running_again(client: Client, job_id: str) -> Job:
    """Wait for the job's second attempt."""
    deadline = time.monotonic() + 180
    while (job := client.jobs.get(job_id)).state is not JobState.RUNNING or job.attempt < 2:
        assert not job.state.terminal
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return job


def _events_until_epoch(client: Client, job_id: str, epoch: int) -> Iterator[Any]:
    for event in client.jobs.events(job_id):
        if event.kind == "metrics":
            yield event
            if event.data["epoch"] >= epoch:
                return
