"""Pools of the embedded stack scale by load and by hand without a failed request."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from contract.jobs import JobState
from contract.kinds.preprocess import PreprocessResult
from tests.e2e.running import Running, started
from tests.support.images import class_folders, png, zipped
from tests.support.onnx_models import CARD, linear
from tidepool_client import Client

TIMEOUT_S = 60


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
    client.jobs.wait(client.models.upload("pets", file).id)


@pytest.fixture(scope="module")
def dataset(client: Client, tmp_path_factory: pytest.TempPathFactory) -> str:
    archive = zipped(tmp_path_factory.mktemp("data") / "pets.zip", class_folders(("cat", "dog"), 20))
    return PreprocessResult.model_validate(client.jobs.wait(client.datasets.upload("pets", archive).id).result).dataset


@pytest.fixture(scope="module")
def http(running: Running) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {running.key}", "Content-Type": "image/png", "X-Request-Timeout": "60"}
    with httpx.Client(base_url=running.url, headers=headers, timeout=90) as http:
        yield http


def predict(http: httpx.Client, seed: int = 0) -> int:
    """Return the HTTP status of one prediction, whose deadline is 60 s."""
    return http.post("/v1/models/pets/predict?version=1", content=png(seed=seed)).status_code


def until(condition: Callable[[], object]) -> None:
    """Return as soon as the condition holds; fail after `TIMEOUT_S`."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"the condition did not hold within {TIMEOUT_S} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def responses_from_zero(running: Running, client: Client, model: None, http: httpx.Client) -> list[int]:
    """The statuses of 20 simultaneous requests to a pool at zero replicas."""
    client.pools.autoscale("inference", min=0, max=2, idle_s=2, quiet_s=2)
    until(lambda: set(running.states("inference")) == {"stopped"})
    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(lambda seed: predict(http, seed), range(20)))


def test_up_starts_the_replicas_of_the_scale_option(running: Running, client: Client) -> None:
    assert running.states("inference")[:3] == ["ready", "ready", "stopped"]
    pools = {pool.name: (pool.mode, pool.replicas.desired) for pool in client.pools.list()}
    assert pools == {"preprocess": ("manual", 1), "trainer": ("manual", 1), "inference": ("manual", 2)}


def test_requests_to_a_pool_at_zero_wait_until_they_are_served(responses_from_zero: list[int]) -> None:
    assert responses_from_zero == [200] * 20


def test_a_training_job_survives_scale_in_and_resumes_after_scale_to_zero(
    running: Running, client: Client, dataset: str
) -> None:
    # given two trainers, one of which trains
    client.pools.scale("trainer", 2)
    until(lambda: running.states("trainer")[:2] == ["ready", "ready"])
    job = client.train(dataset=dataset, model="pets-cnn", epochs=1000)
    until(lambda: client.jobs.get(job.id).progress.fraction > 0)

    # when the pool is scaled in to one
    client.pools.scale("trainer", 1)
    until(lambda: sorted(running.states("trainer")[:2]) == ["ready", "stopped"])

    # then the idle one stops
    assert client.jobs.get(job.id).state is JobState.RUNNING

    # when the pool is scaled to zero
    client.pools.scale("trainer", 0)
    until(lambda: set(running.states("trainer")) == {"stopped"})

    # then the job waits, without counting an attempt, and resumes on the next trainer
    waiting = client.jobs.get(job.id)
    assert (waiting.state, waiting.attempt) == (JobState.QUEUED, 1)
    client.pools.scale("trainer", 1)
    until(lambda: client.jobs.get(job.id).progress.fraction > waiting.progress.fraction)
    resumed = client.jobs.get(job.id)
    assert (resumed.state, resumed.attempt) == (JobState.RUNNING, 1)
    assert running.curl("-X", "POST", f"{running.url}/v1/jobs/{job.id}/cancel")[0] == 202


@pytest.mark.usefixtures("responses_from_zero")
def test_an_idle_pool_scales_to_zero(running: Running, client: Client) -> None:
    until(lambda: set(running.states("inference")) == {"stopped"})
    # and the history explains it
    reasons = [change.reason for change in client.pools.history("inference")]
    assert reasons[0].startswith("Down from")
    assert any(reason.startswith("Up from 0") for reason in reasons)


@pytest.mark.usefixtures("model")
def test_scaling_by_hand_fails_no_request(running: Running, http: httpx.Client) -> None:
    # given clients that predict continuously
    assert running.tidepool("scale", "inference", "1").returncode == 0
    until(lambda: running.states("inference")[0] == "ready")
    deadline, scaled = time.monotonic() + TIMEOUT_S, threading.Event()

    def predict_repeatedly() -> list[int]:
        statuses = []
        while not scaled.wait(0.02) and time.monotonic() < deadline:
            statuses.append(predict(http))
        return statuses

    # when the pool is scaled out and in
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(predict_repeatedly) for _ in range(4)]
        try:
            for count in (3, 1):
                assert running.tidepool("scale", "inference", str(count)).returncode == 0
                states = ["ready"] * count + ["stopped"] * (4 - count)
                until(lambda states=states: running.states("inference")[:4] == states)  # type: ignore[misc]
        finally:
            scaled.set()
        statuses = [status for future in futures for status in future.result()]

    # then every request succeeded
    assert set(statuses) == {200}


def test_pool_sizes_survive_a_restart(running: Running, client: Client) -> None:
    client.pools.scale("preprocess", 2)
    client.pools.scale("trainer", 0)
    until(lambda: running.states("preprocess")[:2] == ["ready", "ready"])
    until(lambda: set(running.states("trainer")) == {"stopped"})

    running.tidepool("down")
    assert running.tidepool("up").returncode == 0

    assert running.states("preprocess")[:3] == ["ready", "ready", "stopped"]
    assert set(running.states("trainer")) == {"stopped"}
