"""`docker compose up` from nothing, the demo's road, scaling, deaths, restarts, and `down -v`, on a real engine."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from contract.jobs import Job, JobState, TrainResult
from tests.e2e.compose.engine import Deployment, run
from tests.pictures import png
from tidepool.client import Client
from tidepool.demo.road import walk
from tidepool.demo.show import Show

pytestmark = pytest.mark.compose

RUNNING = {"redis", "postgres", "s3", "sweep", "gateway", "preprocess", "trainer", "inference"}
OURS = ("storage", "gateway", "preprocess", "trainer", "inference")
MODEL = "pets-cnn"


def test_up_with_nothing_prepared_is_healthy_in_90_s(deployment: Deployment) -> None:
    started = time.monotonic()
    deployment.compose("up", "--detach", seconds=180)
    deployment.until_healthy()
    seconds = time.monotonic() - started

    print(f"\nhealthy after {seconds:.1f} s")
    assert seconds <= 90
    assert {one["Service"] for one in deployment.containers() if one["State"] == "running"} == RUNNING


def test_only_the_gateway_is_published_on_loopback(up: Deployment) -> None:
    published = {one["Service"]: one["Publishers"] for one in up.containers() if any(p["PublishedPort"] for p in one["Publishers"] or ())}

    assert set(published) == {"gateway"}
    assert {publisher["URL"] for publisher in published["gateway"] if publisher["PublishedPort"]} == {"127.0.0.1"}
    assert httpx.get(f"{up.url}/v1/me").status_code == 401


def test_the_images_hold_what_they_should(up: Deployment) -> None:
    sizes = {name: int(run("docker", "image", "inspect", "--format", "{{.Size}}", f"tidepool-{name}:e2e")) for name in OURS}
    for name, size in sizes.items():
        print(f"\ntidepool-{name}: {size / 1e6:.0f} MB", end="")
    heavy = "import importlib.util as u; print([n for n in ('torch', 'onnxruntime', 'pip') if u.find_spec(n)])"
    has = {name: run("docker", "run", "--rm", f"tidepool-{name}:e2e", "python", "-c", heavy).strip() for name in OURS}

    assert has == {
        "storage": "[]",
        "gateway": "[]",
        "preprocess": "[]",
        "trainer": "['torch', 'onnxruntime']",
        "inference": "['onnxruntime']",
    }


def test_the_containers_are_confined(up: Deployment) -> None:
    for container in up.containers():
        host = up.inspect(container["Name"])["HostConfig"]
        assert host["ReadonlyRootfs"] is True
        assert host["CapDrop"] == ["ALL"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0
        assert host["PidsLimit"] > 0
    assert up.compose("exec", "-T", "gateway", "id", "-u").strip() == "10001"
    assert up.compose("exec", "-T", "gateway", "sh", "-c", "touch /app/x 2>&1; true").endswith("Read-only file system\n")


def test_nothing_but_the_secrets_volume_knows_a_secret(up: Deployment, key: str) -> None:
    seen = [str(up.inspect(container["Name"])) for container in up.containers()]

    assert [text for text in seen if key in text or "redis://:" in text or "postgresql+psycopg://" in text] == []
    assert up.compose("run", "--rm", "secrets", "admin-key").strip() == key


def test_the_demos_road(client: Client, archive: Path) -> None:
    console = Console(quiet=True)
    with Show(console) as show:
        journey = walk(client, archive, epochs=2, show=show)

    assert journey.dataset.classes == ("cat", "dog")
    assert journey.trained.onnx.parity_max_abs_diff < 1e-3
    assert journey.batch.count > 0


def test_three_replicas_answer_after_scale_up_and_one_after_scale_down(up: Deployment, client: Client) -> None:
    with _predicting(client) as failures:
        up.compose("up", "--detach", "--no-recreate", "--scale", "inference=3")
        up.until_healthy()
        three = _present(up)
        up.compose("up", "--detach", "--no-recreate", "--scale", "inference=1")
        deadline = time.monotonic() + 30
        while len(one := _present(up)) > 1 and time.monotonic() < deadline:
            time.sleep(0.5)

    assert (len(three), len(one)) == (3, 1)
    assert failures == []


@pytest.mark.parametrize("service", ["inference", "gateway", "preprocess", "sweep"])
def test_a_service_that_dies_comes_back(up: Deployment, client: Client, service: str) -> None:
    (before,) = up.containers(service)

    up.crash(service)

    deadline = time.monotonic() + 60
    while up.inspect(before["Name"])["RestartCount"] == 0:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    up.until_healthy()
    assert client.predict(MODEL, png()).model == MODEL


def test_training_goes_on_after_its_worker_was_killed(up: Deployment, client: Client) -> None:
    # given a training job that has saved a checkpoint
    job = client.train(dataset="pets", model="survivor", epochs=60)
    _until(client, job, lambda now: now.state is JobState.RUNNING and now.progress.fraction > 0.05)

    # when its worker dies
    up.crash("trainer")

    # then another attempt ends it
    ended = client.wait(job.id)
    assert ended.attempt == 2
    assert TrainResult.model_validate(ended.result).model == "survivor@1"


def test_a_worker_that_is_told_to_stop_gives_its_job_back(up: Deployment, client: Client) -> None:
    job = client.train(dataset="pets", model="mover", epochs=60)
    _until(client, job, lambda now: now.state is JobState.RUNNING and now.progress.fraction > 0.05)

    started = time.monotonic()
    up.compose("restart", "trainer")
    stopped = time.monotonic() - started

    assert stopped < 40  # it was not killed after its grace
    assert client.wait(job.id).state is JobState.SUCCEEDED


def test_all_servers_restart_and_nothing_is_lost(up: Deployment, client: Client, archive: Path) -> None:
    accepted = [client.upload_dataset(f"kept-{number}", archive) for number in range(3)]

    up.compose("restart", "redis", "postgres", "s3")
    up.until_healthy()

    assert {client.wait(job.id).state for job in accepted} == {JobState.SUCCEEDED}
    assert client.predict(MODEL, png()).model == MODEL


def test_down_and_up_again_keeps_data_and_key(up: Deployment, client: Client) -> None:
    up.compose("down", "--timeout", "40")
    up.compose("up", "--detach", seconds=180)
    up.until_healthy()

    assert client.model(MODEL, 1).version == 1
    assert client.predict(MODEL, png()).model == MODEL


def test_down_with_volumes_leaves_nothing(up: Deployment) -> None:
    up.down()

    assert up.leftovers() == {"containers": "", "volumes": "", "networks": ""}


@contextmanager
def _predicting(client: Client) -> Iterator[list[Exception]]:
    """Predict again and again beside what happens in the block; yields what went wrong."""
    failures: list[Exception] = []
    done = threading.Event()

    def predict() -> None:
        while not done.is_set():
            try:
                client.predict(MODEL, png())
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=predict)
    thread.start()
    try:
        yield failures
    finally:
        done.set()
        thread.join()


def _present(deployment: Deployment) -> list[str]:
    """The inference replicas that tell the gateways that they live."""
    now = "$(redis-cli TIME | head -1)"
    command = f'export REDISCLI_AUTH=$(cat /secrets/password); redis-cli ZRANGEBYSCORE tidepool:inference:replicas $(({now} - 3)) +inf'
    return deployment.compose("exec", "-T", "redis", "sh", "-c", command).split()


def _until(client: Client, job: Job, holds: "object") -> None:
    deadline = time.monotonic() + 120
    while not holds(client.job(job.id)):  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.2)
