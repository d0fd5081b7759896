import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.unit.clients.test_client import POOL
from tidepool.cli.app import app
from tidepool.stack.home import Home
from tidepool_client import Client


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("TIDEPOOL_HOME", str(tmp_path / "home"))
    return Home.from_environment()


def test_key_fails_before_the_first_start(home: Home) -> None:
    result = CliRunner().invoke(app, ["key"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the first `tidepool up` creates it" in result.stderr


def test_key_prints_the_key(home: Home) -> None:
    home.create()
    home.key_file.write_text("tp_secret\n")
    assert CliRunner().invoke(app, ["key"]).stdout == "tp_secret\n"


def test_logs_of_an_unknown_component_lists_the_known_ones(home: Home) -> None:
    home.create()
    home.log("redis").touch()
    result = CliRunner().invoke(app, ["logs", "postgres"])
    assert (result.exit_code, result.stderr) == (1, "There is no log of 'postgres'. Available: redis\n")


def test_status_and_down_when_nothing_runs(home: Home) -> None:
    assert "down" in CliRunner().invoke(app, ["status"]).stdout
    result = CliRunner().invoke(app, ["status", "--json"])
    assert '"components": []' in result.stdout
    assert CliRunner().invoke(app, ["down"]).stdout == f"Nothing was running in {home.path}.\n"


def test_an_invalid_scale_starts_nothing(home: Home) -> None:
    result = CliRunner().invoke(app, ["up", "--scale", "gateway"])
    assert result.exit_code == 1
    assert "write it like inference=2" in result.stderr
    assert not home.path.exists()


def test_a_demo_of_a_missing_archive_fails(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--dataset", str(tmp_path / "none.zip")])
    assert result.exit_code == 1
    assert "none.zip" in result.stderr


def test_pools_and_scale_fail_when_nothing_runs(home: Home) -> None:
    for command in (["pools"], ["scale", "inference", "3"], ["scale", "inference", "--auto", "--max", "4"]):
        result = CliRunner().invoke(app, command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "No stack is running in" in result.stderr


@pytest.mark.parametrize("words", [[], ["3", "--auto"], ["3", "--min", "1"], ["--max", "4"]])
def test_scale_needs_either_a_number_or_auto(home: Home, words: list[str]) -> None:
    result = CliRunner().invoke(app, ["scale", "inference", *words])
    assert result.exit_code == 1
    assert "tidepool scale inference 3" in result.stderr


def test_an_infinite_idle_time_is_refused(home: Home) -> None:
    result = CliRunner().invoke(app, ["scale", "inference", "--auto", "--idle", "inf"])
    assert result.exit_code == 2
    assert "--idle" in result.stderr


def test_pools_and_scale_call_the_api(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a deployment with one pool
    requests: list[tuple[str, str, bytes]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append((request.method, request.url.path, request.content))
        return httpx.Response(200, json=POOL if request.method == "PATCH" else {"items": [POOL]})

    def connect(_: Home) -> Client:
        return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(respond))

    monkeypatch.setattr("tidepool.cli.connection.connect", connect)

    # when
    commands = (
        ["pools"],
        ["pools", "--json"],
        ["scale", "inference", "3"],
        ["scale", "inference", "--auto", "--min", "0"],
    )
    results = [CliRunner().invoke(app, command) for command in commands]

    # then
    assert [result.exit_code for result in results] == [0] * 4
    assert all("inference" in result.stdout for result in results)
    assert json.loads(results[1].stdout)[0]["name"] == "inference"
    assert [(method, path) for method, path, _ in requests[2:]] == [("PATCH", "/v1/pools/inference")] * 2
    assert [json.loads(body) for *_, body in requests[2:]] == [
        {"mode": "manual", "replicas": 3},
        {"mode": "auto", "min": 0},
    ]
