"""The workflow of `make demo` on a tiny dataset, with the command line, the client and curl."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contract.health import HealthReport, Level
from contract.jobs import JobState
from contract.kinds.evaluate import EvaluateResult
from contract.kinds.preprocess import PreprocessResult
from contract.kinds.train import TrainResult
from tests.e2e.running import TIDEPOOL, Running
from tests.support.images import class_folders, png, zipped
from tidepool_client import ApiError, Client, DeadlineExceeded, JobUnsuccessful


@pytest.fixture(scope="module")
def running(stack: Running) -> Running:
    return stack


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    with Client(running.url, running.key) as client:
        yield client


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of two classes, and one file that is not an image."""
    files = class_folders(("cat", "dog"), 20, under="pets/")
    return zipped(tmp_path_factory.mktemp("data") / "pets.zip", {**files, "pets/cat/notes.png": b"not an image"})


@pytest.fixture(scope="module")
def trained(client: Client, archive: Path) -> TrainResult:
    prepared = PreprocessResult.model_validate(client.jobs.wait(client.datasets.upload("pets", archive).id).result)
    job = client.jobs.wait(client.train(dataset=prepared.dataset, model="pets-cnn", epochs=2).id)
    return TrainResult.model_validate(job.result)


def test_the_workflow_succeeds_with_the_client(running: Running, client: Client, trained: TrainResult) -> None:
    # given a dataset and a model trained on it
    dataset = client.datasets.version("pets@1")
    assert dataset.classes == ("cat", "dog")
    assert [file.file for file in dataset.rejected_files] == ["pets/cat/notes.png"]
    assert trained.model == "pets-cnn@1"
    assert [epoch.epoch for epoch in trained.epochs] == [1, 2]
    assert trained.onnx.parity_max_abs_diff < 1e-3
    assert trained.metrics.test is not None

    # when it is promoted
    client.models.set_alias("pets-cnn", "production", 1)

    # then it classifies one image and many, and names the execution provider
    image = png(seed=3)
    one = client.predict("pets-cnn@production", image, top_k=2)
    assert {prediction.label for prediction in one.predictions} == {"cat", "dog"}
    assert sum(prediction.score for prediction in one.predictions) == pytest.approx(1.0)
    many = client.models.predict_many("pets-cnn@production", [image, b"not an image", image])
    assert many[0].predictions is not None
    assert many[0].predictions[0].score == pytest.approx(one.predictions[0].score, abs=1e-5)
    assert many[1].error is not None
    assert many[1].error.code == "bad_image"
    assert client.models.version("pets-cnn@1").provider == "CPUExecutionProvider"


def test_the_workflow_succeeds_with_curl(running: Running, trained: TrainResult, tmp_path: Path) -> None:
    image = tmp_path / "one.png"
    image.write_bytes(png(seed=5))
    predict = f"{running.url}/v1/models/pets-cnn/predict"

    status, body = running.curl("-H", "Content-Type: image/png", "--data-binary", f"@{image}", predict)
    assert (status, body["model"], body["version"]) == (200, "pets-cnn", 1)

    status, body = running.curl("-F", f"image=@{image}", "-F", f"image=@{image}", predict)
    assert status == 200
    assert len(body["results"]) == 2  # type: ignore[arg-type]

    status, body = running.curl("-H", "Content-Type: image/png", "-d", "text", predict)
    assert (status, body["code"]) == (422, "bad_image")


def test_the_model_is_judged_on_a_split(client: Client, trained: TrainResult, tmp_path: Path) -> None:
    job = client.jobs.wait(client.evaluate(model="pets-cnn@1", dataset="pets", split="test").id)

    report = EvaluateResult.model_validate(job.result)
    assert trained.metrics.test is not None
    assert report.metrics.confusion_matrix == trained.metrics.test.confusion_matrix
    assert report.summary[0].startswith("pets-cnn@1 is right on ")
    output = job.output(tmp_path / "images.jsonl").read_text()
    assert [json.loads(line)["image"] for line in output.splitlines()] == list(range(report.count))


def test_the_artifact_is_the_trained_model(
    client: Client, running: Running, trained: TrainResult, tmp_path: Path
) -> None:
    artifact = f"{running.url}/v1/models/pets-cnn/versions/1/artifact"
    command = ["curl", "-sS", "-w", "%{redirect_url}", "-H", f"Authorization: Bearer {running.key}", artifact]
    presigned = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    done = subprocess.run(["curl", "-sSf", presigned], capture_output=True, timeout=60, check=True)

    assert len(done.stdout) == trained.onnx.size
    assert client.models.artifact("pets-cnn@1", tmp_path / "model.onnx").read_bytes() == done.stdout


def test_a_file_is_sent_straight_to_the_object_store_and_only_once(client: Client, archive: Path) -> None:
    sent: list[int] = []
    upload = client.uploads.send(archive, on_bytes=lambda done, _: sent.append(done))
    assert (upload.complete, sent[-1]) == (True, archive.stat().st_size)

    sent.clear()
    assert client.uploads.send(archive, on_bytes=lambda done, _: sent.append(done)).id == upload.id
    assert sent == []
    assert client.datasets.create("sent", upload.id).wait().state is JobState.SUCCEEDED


def test_an_invalid_archive_fails_with_its_reason(client: Client, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"this is not an archive")

    with pytest.raises(JobUnsuccessful) as failure:
        client.jobs.wait(client.datasets.upload("broken", broken).id)

    job = failure.value.job
    assert (job.state, job.error and job.error.code) == (JobState.FAILED, "bad_archive")
    with pytest.raises(ApiError) as refusal:
        client.train(dataset="broken", model="nothing")
    assert refusal.value.status == 404


def test_a_killed_replica_is_restarted_and_serves(running: Running, client: Client, trained: TrainResult) -> None:
    before = running.pid("inference")
    assert before is not None

    os.kill(before, signal.SIGKILL)

    deadline = time.monotonic() + 60
    while running.pid("inference") in {before, None}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert _predicted_by(deadline, client) == "pets-cnn"


def _predicted_by(deadline: float, client: Client) -> str:
    """Return the model of a prediction, as soon as a replica answers; one that has just started may take longer."""
    while True:
        try:
            return client.predict("pets-cnn", png()).model
        except DeadlineExceeded:
            assert time.monotonic() < deadline


def test_status_shows_every_role(running: Running) -> None:
    shown = json.loads(running.tidepool("status", "--json").stdout)
    roles = {"redis", "s3", "gateway", "storage", "autoscaler", "preprocess", "trainer", "inference"}
    assert roles <= {component["name"] for component in shown["components"]}
    assert {path.stem for path in (running.home / "run").glob("*.pid")} >= roles
    assert {path.stem for path in (running.home / "log").glob("*.log")} >= roles
    assert (running.home / "api-key").stat().st_mode & 0o777 == 0o600


def test_the_doctor_checks_every_part(running: Running, trained: TrainResult) -> None:
    report = HealthReport.model_validate_json(running.tidepool("doctor", "--json").stdout)

    servers, pools = {"gateway", "database", "redis", "object store"}, {"preprocess", "trainer", "inference"}
    parts = {"machine", "stack files", "stack processes", "connection", "storage", "autoscaler", *servers, *pools}
    assert {check.component for check in report.checks} == parts
    # of this machine, a test knows too little
    assert [check for check in report.checks if check.level is Level.PROBLEM and check.component != "machine"] == []
    latencies = {check.component for check in report.checks if check.latency_ms is not None}
    assert latencies >= {"connection", "database", "redis", "object store", "inference", "stack processes"}


def test_the_demo_succeeds_and_leaves_nothing_running(archive: Path, tmp_path: Path) -> None:
    command = [TIDEPOOL, "demo", "--dataset", archive, "--epochs", "1", "--home", tmp_path / "demo"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("Test accuracy", "Confusion matrix", "Where each second went", "/docs"):
        assert part in done.stdout
    assert _processes_of(tmp_path / "demo") == []


@pytest.mark.slow
def test_the_demo_reports_a_failure(tmp_path: Path) -> None:
    one_class = zipped(tmp_path / "one.zip", class_folders(("cat",), 4))
    command = [TIDEPOOL, "demo", "--dataset", one_class, "--home", tmp_path / "demo"]

    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)

    assert done.returncode == 1
    assert "class" in done.stdout.splitlines()[-1]
    assert _processes_of(tmp_path / "demo") == []


def test_down_after_the_supervisor_was_killed_leaves_no_process(running: Running) -> None:
    supervisor = running.pid("supervisor")
    assert supervisor is not None
    os.kill(supervisor, signal.SIGKILL)
    assert _processes_of(running.home) != []

    # while the gateway is down, too, the doctor says what does not run and where its log is
    gateway = running.pid("gateway")
    assert gateway is not None
    os.kill(gateway, signal.SIGKILL)
    done = running.tidepool("doctor")
    assert done.returncode == 5
    assert str(running.home / "log" / "gateway.log") in done.stdout

    assert running.tidepool("down").returncode == 0

    assert _processes_of(running.home) == []


def _processes_of(home: Path) -> list[psutil.Process]:
    """Return the processes with this home in their environment."""
    processes = []
    for process in psutil.process_iter():
        try:
            if str(home) in process.environ().get("TIDEPOOL_HOME", "") and process.status() != psutil.STATUS_ZOMBIE:
                processes.append(process)
        except psutil.Error:
            continue
    return processes
