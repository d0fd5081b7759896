"""The workflow against a server in memory; tests/e2e runs it against a real one."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from contract.datasets import Counts
from contract.kinds.preprocess import PreprocessResult
from tests.unit.tidepool.demo.results import demo_result
from tidepool.demo.progress import ProgressDisplay
from tidepool.demo.workflow import DemoResult, Step, run_workflow
from tidepool.errors import UserFacingError
from tidepool_client import Client

RESULT = demo_result()
PREDICTION = {"predictions": [{"label": "cat", "score": 0.9}]}
TIMING = {"queue": 0.1, "inference": 0.1, "total": 0.2}


class Server:
    """Every job succeeds immediately, and every image is a cat."""

    def __init__(self, last_of_batch: dict[str, Any] = PREDICTION) -> None:
        self.requests: list[str] = []
        self._last_of_batch = last_of_batch

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body, path = request.read(), request.url.path
        self.requests.append(f"{request.method} {path}")
        if path.endswith("/predict") and b'name="image"' in body:
            several = [PREDICTION] * (body.count(b'name="image"') - 1)
            return httpx.Response(200, json={"results": [*several, self._last_of_batch]})
        return httpx.Response(200, json=self._response(request.method, path))

    def _response(self, method: str, path: str) -> Any:
        preprocessed = PreprocessResult(
            dataset="my-pets@3",
            classes=("cat", "dog"),
            counts=Counts(train=8, val=1, test=2),
            rejected=0,
            shape=(3, 9, 9),
        )
        return {
            "POST /v1/datasets/my-pets/versions": _job("prepare", preprocessed),
            "GET /v1/jobs/prepare": _job("prepare", preprocessed),
            "POST /v1/jobs": _job("train", RESULT.trained),
            "GET /v1/jobs/train": _job("train", RESULT.trained),
            "PUT /v1/models/my-pets/aliases/production": {
                "alias": "production",
                "version": 1,
                "versions": {"1": 100},
                "shadow": None,
                "updated_at": "2026-01-01T00:00:00Z",
            },
            "POST /v1/models/my-pets/predict": {"model": "my-pets", "version": 1, "timing_ms": TIMING} | PREDICTION,
            "GET /v1/datasets/my-pets/versions/3": RESULT.dataset.model_dump(mode="json"),
            "GET /v1/models/my-pets/versions/1": RESULT.model.model_dump(mode="json"),
        }[f"{method} {path}"]


def _job(name: str, result: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("error", "started_at", "finished_at", "deadline_at"))
    counts = {"priority": 0, "attempt": 1, "max_attempts": 3, "created_at": "2026-01-01T00:00:00Z"}
    known = {"id": name, "kind": "train", "state": "succeeded", "spec": {}, "progress": {}}
    return empty | counts | known | {"result": result.model_dump(mode="json")}


def run_on(server: Server, folder: Path) -> tuple[DemoResult, ProgressDisplay]:
    archive = folder / "My Pets.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(12):
            file.writestr(f"{('cat', 'dog')[number % 2]}/{number}.png", b"\x89PNG")
    client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(server))
    with ProgressDisplay(Console(file=io.StringIO())) as display:
        return run_workflow(client, archive, recipe={"epochs": 1}, display=display), display


def test_ten_images_are_predicted_one_by_one_and_the_rest_in_a_batch(tmp_path: Path) -> None:
    server = Server()
    result, _ = run_on(server, tmp_path)
    assert server.requests.count("POST /v1/models/my-pets/predict") == 11
    assert [prediction.label for prediction in result.singles] == ["cat", "dog"] * 5
    assert {prediction.predicted for prediction in result.singles} == {"cat"}
    assert (result.batch.count, result.batch.correct) == (2, 1)


def test_every_step_is_timed(tmp_path: Path) -> None:
    _, display = run_on(Server(), tmp_path)
    assert list(display.seconds) == [step for step in Step if step is not Step.START]


def test_an_image_without_a_prediction_fails_the_demo(tmp_path: Path) -> None:
    with pytest.raises(UserFacingError, match="was not classified: cut off"):
        run_on(Server(last_of_batch={"error": {"code": "bad_image", "message": "cut off"}}), tmp_path)
