"""Pools of the embedded stack that grow and shrink, by load and by hand, while people go on as if nothing were."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.jobs import JobState
from contract.kinds.preprocess import PreprocessResult
from tests.e2e.running import Running, started
from tests.onnx_models import CARD, linear
from tests.pictures import class_folders, png, zipped
from tidepool.client import Client

PATIENCE_S = 60


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with started(tmp_path_factory.mktemp("stack") / "home", "inference=2", "preprocess=1") as stack:
        yield stack


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with Client(running.url, running.key) as client:
        yield client


@pytest.fixture(scope="module")
def model(client: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("model") / "pets.onnx"
    file.write_bytes(linear(CARD))
    client.wait(client.upload_model("pets", file).id)


@pytest.fixture(scope="module")
def dataset(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = zipped(tmp_path_factory.mktemp("data") / "pets.zip", class_folders(("cat", "dog"), 20))
    return PreprocessResult.model_validate(client.wait(client.upload_dataset("pets", archive).id).result).dataset


@pytest.fixture(scope="module")
def people(running: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "image/png", "X-Request-Timeout": "60"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=90) as people:
        yield people


def predict(people: httpx.Client, seed: int = 0) -> int:
    """The status of one prediction, which may wait as long as it takes."""
    return people.post("/v1/models/pets/predict?version=1", content=png(seed=seed)).status_code


def until(condition: Callable[[], object]) -> None:
    """Return as soon as it holds; fail if it does not in time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def woken(running: Running, client: Client, model: None, people: httpx.Client) -> list[int]:
    """What many people heard who came at once to a pool that nobody had needed."""
    client.autoscale("inference", min=0, max=2, idle_s=2, quiet_s=2)
    until(lambda: set(running.states("inference")) == {"stopped"})
    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(lambda seed: predict(people, seed), range(20)))


def test_as_many_as_the_scale_said_run_at_first(running: Running, client: Client) -> None:
    assert running.states("inference")[:3] == ["ready", "ready", "stopped"]
    pools = {pool.name: (pool.mode, pool.replicas.desired) for pool in client.pools()}
    assert pools == {"preprocess": ("manual", 1), "trainer": ("manual", 1), "inference": ("manual", 2)}


def test_each_waits_for_a_pool_that_was_at_zero_until_it_is_served(woken: list[int]) -> None:
    assert woken == [200] * 20


def test_a_training_survives_scale_in_and_moves_when_a_person_wants_nobody(
    running: Running, client: Client, dataset: str
) -> None:
    # given two trainers, one of which trains
    client.scale("trainer", 2)
    until(lambda: running.states("trainer")[:2] == ["ready", "ready"])
    job = client.train(dataset=dataset, model="pets-cnn", epochs=1000)
    until(lambda: client.job(job.id).progress.fraction > 0)

    # when one must go
    client.scale("trainer", 1)
    until(lambda: sorted(running.states("trainer")[:2]) == ["ready", "stopped"])

    # then it is the other one
    assert client.job(job.id).state is JobState.RUNNING

    # when both must go
    client.scale("trainer", 0)
    until(lambda: set(running.states("trainer")) == {"stopped"})

    # then the job waits, with no failure charged, and goes on with the next trainer
    waiting = client.job(job.id)
    assert (waiting.state, waiting.attempt) == (JobState.QUEUED, 1)
    client.scale("trainer", 1)
    until(lambda: client.job(job.id).progress.fraction > waiting.progress.fraction)
    again = client.job(job.id)
    assert (again.state, again.attempt) == (JobState.RUNNING, 1)
    assert running.curl("-X", "POST", f"{running.url}/v1/jobs/{job.id}/cancel")[0] == 202


@pytest.mark.usefixtures("woken")
def test_a_pool_that_nobody_needs_any_more_is_at_zero_again(running: Running, client: Client) -> None:
    until(lambda: set(running.states("inference")) == {"stopped"})
    # and the history explains it
    reasons = [change.reason for change in client.pool_history("inference")]
    assert reasons[0].startswith("Down from")
    assert any(reason.startswith("Up from 0") for reason in reasons)


@pytest.mark.usefixtures("model")
def test_a_person_scales_and_no_request_notices(running: Running, people: httpx.Client) -> None:
    # given people who ask all the time
    assert running.tidepool("scale", "inference", "1").returncode == 0
    until(lambda: running.states("inference")[0] == "ready")
    over, scaled = time.monotonic() + PATIENCE_S, threading.Event()

    def ask() -> list[int]:
        statuses = []
        while not scaled.wait(0.02) and time.monotonic() < over:
            statuses.append(predict(people))
        return statuses

    # when a person scales out and in again
    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        try:
            for count in (3, 1, 2, 1):
                assert running.tidepool("scale", "inference", str(count)).returncode == 0
                states = ["ready"] * count + ["stopped"] * (4 - count)
                until(lambda states=states: running.states("inference")[:4] == states)  # type: ignore[misc]
        finally:
            scaled.set()
        statuses = [status for each in asking for status in each.result()]

    # then all were answered
    assert set(statuses) == {200}


def test_a_scale_holds_over_a_restart(running: Running, client: Client) -> None:
    client.scale("preprocess", 2)
    client.scale("trainer", 0)
    until(lambda: running.states("preprocess")[:2] == ["ready", "ready"])
    until(lambda: set(running.states("trainer")) == {"stopped"})

    running.tidepool("down")
    assert running.tidepool("up").returncode == 0

    assert running.states("preprocess")[:3] == ["ready", "ready", "stopped"]
    assert set(running.states("trainer")) == {"stopped"}
