"""`tidepool keys`"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.examples import API_KEY
from tidepool.cli.app import app
from tidepool.stack.home import Home
from tidepool_client import Client

SECRET = "tp_0123abcd_" + "A" * 43
KEY = API_KEY.model_dump(mode="json")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, bytes]]:
    """The requests that a deployment with one key has received."""
    received: list[tuple[str, str, bytes]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        received.append((request.method, request.url.raw_path.decode(), request.content))
        match request.method:
            case "POST":
                return httpx.Response(201, json=KEY | {"secret": SECRET})
            case "DELETE" if not request.url.path.endswith("0123abcd"):
                return httpx.Response(404, json={"code": "not_found", "detail": "there is no such key"})
            case "DELETE":
                return httpx.Response(204)
        return httpx.Response(200, json={"items": [KEY], "next": None})

    def connect(_: Home) -> Client:
        return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(respond))

    monkeypatch.setattr("tidepool.cli.connection.connect", connect)
    return received


def run(*words: str) -> tuple[int, str, str]:
    """The exit status, the output and the error output of a command."""
    result = CliRunner().invoke(app, ["keys", *words])
    return result.exit_code, result.stdout, result.stderr


def test_ls_shows_each_key_without_its_secret(requests: list[tuple[str, str, bytes]]) -> None:
    status, table, _ = run("ls")
    _, as_json, _ = run("ls", "--json")

    assert status == 0
    assert all(text in table for text in ("0123abcd", "laptop", "predict, read", "2026-01-02 03:04", "never"))
    assert json.loads(as_json) == [KEY]
    assert [path for _, path, _ in requests] == ["/v1/keys"] * 2


def test_create_prints_only_the_secret(requests: list[tuple[str, str, bytes]]) -> None:
    status, output, explanation = run("create", "laptop", "--role", "labeller", "--days", "30")

    assert (status, output) == (0, SECRET + "\n")
    assert "Created the key 0123abcd, which expires" in explanation
    body = json.loads(requests[0][2])
    expires_at = datetime.fromisoformat(body.pop("expires_at"))
    assert abs(expires_at - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)
    assert body == {"name": "laptop", "role": "labeller"}


def test_create_takes_scopes_in_place_of_a_role(requests: list[tuple[str, str, bytes]]) -> None:
    status, _, _ = run("create", "laptop", "--scope", "read", "--scope", "predict")

    assert status == 0
    assert json.loads(requests[0][2]) == {"name": "laptop", "scopes": ["read", "predict"]}


@pytest.mark.parametrize("words", [[], ["--role", "viewer", "--scope", "read"]])
def test_create_needs_either_a_role_or_scopes(requests: list[tuple[str, str, bytes]], words: list[str]) -> None:
    status, _, explanation = run("create", "laptop", *words)

    assert (status, requests) == (1, [])
    assert "Give a role" in explanation


def test_rm_revokes_a_key(requests: list[tuple[str, str, bytes]]) -> None:
    assert run("rm", "0123abcd")[:2] == (0, "Revoked the key 0123abcd.\n")
    assert run("rm", "../jobs") == (1, "", "there is no such key (404 not_found)\n")
    assert [path for _, path, _ in requests] == ["/v1/keys/0123abcd", "/v1/keys/..%2Fjobs"]


def test_keys_fail_when_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_HOME", str(tmp_path / "home"))

    status, _, explanation = run("ls")

    assert status == 1
    assert "No stack is running in" in explanation
