"""A deployment without servers, which the commands of the command line talk to."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from contract.jobs import JobState
from tests.examples import EXAMPLES
from tests.unit.clients.test_client import job
from tidepool.cli import connection
from tidepool.cli.app import app
from tidepool_client import Client

URL, KEY = "http://tidepool", "tp_key"


def example(kind: type[BaseModel], **changes: Any) -> dict[str, Any]:
    """The fields of an example of a type of the contract."""
    value: BaseModel = next(value for value in EXAMPLES if type(value) is kind)
    return value.model_dump(mode="json") | changes


@dataclass(frozen=True)
class Run:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Deployment:
    """Answers requests by method and path, the last answer again and again; records the requests."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self._answers: dict[tuple[str, str], list[httpx.Response]] = {}

    def on(self, method: str, path: str, *bodies: Any, status: int = 200) -> None:
        """Answer with these bodies in turn: a value as JSON, text as an event stream, or a response."""
        self._answers[method, path] = [_response(body, status) for body in bodies]

    def jobs(
        self, path: str, kind: str, result: Any = None, *, state: JobState = JobState.SUCCEEDED, **ended: Any
    ) -> str:
        """Accept a job at a path; it runs, and ends in this state."""
        job_id = f"{kind}-1"
        fields = {"id": job_id, "kind": kind}
        self.on("POST", path, job(JobState.QUEUED, **fields), status=202)
        ends = job(state, **fields, result=result, **ended)
        self.on("GET", f"/v1/jobs/{job_id}", job(JobState.RUNNING, **fields), ends)
        return job_id

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        answers = self._answers.get((request.method, request.url.path))
        if answers is None:
            problem = {"code": "not_found", "detail": f"there is no {request.url.path}", "status": 404}
            return httpx.Response(404, json=problem)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def bodies(self, method: str) -> list[Any]:
        """The JSON bodies of the requests with this method."""
        return [json.loads(request.content) for request in self.requests if request.method == method]

    def bodies_of(self, request: str) -> list[Any]:
        """The JSON bodies of the requests with this method and path."""
        return [json.loads(sent.content) for sent in self.requests if f"{sent.method} {sent.url.path}" == request]

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A person who is not logged in anywhere, in a folder without a stack; returns the folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TIDEPOOL_HOME", str(tmp_path / "home"))
    for name in (connection.URL, connection.KEY, connection.PROJECT, "TIDEPOOL_DEBUG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tidepool_client._sync.jobs.POLL_S", 0)
    return folder


@pytest.fixture
def folder(environment: Path) -> Path:
    """A folder with one image of one class."""
    path = environment / "My Pets" / "cat"
    path.mkdir(parents=True)
    (path / "1.jpg").write_bytes(b"image")
    return path.parent


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    deployment = Deployment()

    def client(url: str, key: str, *, project: str | None = None, **_: Any) -> Client:
        return Client(url, key, project=project, retries=0, transport=httpx.MockTransport(deployment))

    monkeypatch.setenv(connection.URL, URL)
    monkeypatch.setenv(connection.KEY, KEY)
    monkeypatch.setattr(connection, "new_client", client)
    return deployment


def run(*words: object, typed: str | None = None) -> Run:
    """Run a command; `typed` is its standard input."""
    result = CliRunner().invoke(app, list(map(str, words)), input=typed)
    return Run(result.exit_code, result.stdout, result.stderr)


def _response(body: Any, status: int) -> httpx.Response:
    if isinstance(body, httpx.Response):
        return body
    if isinstance(body, str):
        return httpx.Response(status, text=body, headers={"Content-Type": "text/event-stream"})
    return httpx.Response(status, json=body)
