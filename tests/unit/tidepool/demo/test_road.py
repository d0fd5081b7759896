"""The road against a server that answers from memory; the real one is walked end to end elsewhere."""

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from contract.jobs import Counts
from contract.kinds.preprocess import PreprocessResult
from tests.unit.tidepool.demo.journeys import journey
from tidepool.client import Client
from tidepool.demo.road import Journey, Step, walk
from tidepool.demo.show import Show
from tidepool.errors import Trouble

KNOWN = journey()
GUESS = {"predictions": [{"label": "cat", "score": 0.9}]}
TIMING = {"queue": 0.1, "inference": 0.1, "total": 0.2}


class Server:
    """Every job succeeds at once, and every picture is a cat."""

    def __init__(self, last_of_batch: dict[str, Any] = GUESS) -> None:
        self.asked: list[str] = []
        self._last_of_batch = last_of_batch

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body, path = request.read(), request.url.path
        self.asked.append(f"{request.method} {path}")
        if path.endswith("/predict") and b'name="image"' in body:
            several = [GUESS] * (body.count(b'name="image"') - 1)
            return httpx.Response(200, json={"results": [*several, self._last_of_batch]})
        return httpx.Response(200, json=self._answer(request.method, path))

    def _answer(self, method: str, path: str) -> Any:
        prepared = PreprocessResult(
            dataset="my-pets@3",
            classes=("cat", "dog"),
            counts=Counts(train=8, val=1, test=2),
            rejected=0,
            shape=(3, 9, 9),
        )
        return {
            "POST /v1/datasets/my-pets/versions": _job("prepare", prepared),
            "GET /v1/jobs/prepare": _job("prepare", prepared),
            "POST /v1/jobs": _job("train", KNOWN.trained),
            "GET /v1/jobs/train": _job("train", KNOWN.trained),
            "PUT /v1/models/my-pets-cnn/aliases/production": {
                "alias": "production",
                "version": 1,
                "versions": {"1": 100},
                "shadow": None,
                "updated_at": "2026-01-01T00:00:00Z",
            },
            "POST /v1/models/my-pets-cnn/predict": {"model": "my-pets-cnn", "version": 1, "timing_ms": TIMING} | GUESS,
            "GET /v1/datasets/my-pets/versions/3": KNOWN.dataset.model_dump(mode="json"),
            "GET /v1/models/my-pets-cnn/versions/1": KNOWN.model.model_dump(mode="json"),
        }[f"{method} {path}"]


def _job(name: str, result: Any) -> dict[str, Any]:
    empty = dict.fromkeys(("error", "started_at", "finished_at", "deadline_at"))
    counts = {"priority": 0, "attempt": 1, "max_attempts": 3, "created_at": "2026-01-01T00:00:00Z"}
    known = {"id": name, "kind": "train", "state": "succeeded", "spec": {}, "progress": {}}
    return empty | counts | known | {"result": result.model_dump(mode="json")}


def walked(server: Server, folder: Path) -> tuple[Journey, Show]:
    archive = folder / "My Pets.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number in range(12):
            file.writestr(f"{('cat', 'dog')[number % 2]}/{number}.png", b"\x89PNG")
    client = Client("http://tidepool", "tp_key", transport=httpx.MockTransport(server))
    with Show(Console(file=io.StringIO())) as show:
        return walk(client, archive, epochs=1, show=show), show


def test_it_tries_ten_pictures_one_by_one_and_the_rest_at_once(tmp_path: Path) -> None:
    server = Server()
    found, _ = walked(server, tmp_path)
    assert server.asked.count("POST /v1/models/my-pets-cnn/predict") == 11
    assert [guess.label for guess in found.guesses] == ["cat", "dog"] * 5
    assert {guess.predicted for guess in found.guesses} == {"cat"}
    assert (found.batch.count, found.batch.right) == (2, 1)


def test_every_step_is_timed(tmp_path: Path) -> None:
    _, show = walked(Server(), tmp_path)
    assert list(show.seconds) == [step for step in Step if step is not Step.START]


def test_a_picture_of_the_batch_without_a_prediction_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match="was not classified: cut off"):
        walked(Server(last_of_batch={"error": {"code": "bad_image", "message": "cut off"}}), tmp_path)
