import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.unit.tidepool.client.test_client import POOL
from tidepool.cli.app import app
from tidepool.client import Client
from tidepool.stack.home import Home


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.setenv("TIDEPOOL_HOME", str(tmp_path / "home"))
    return Home.from_environment()


def test_key_before_the_first_start(home: Home) -> None:
    told = CliRunner().invoke(app, ["key"])
    assert (told.exit_code, told.stdout) == (1, "")
    assert "the first `up` makes it" in told.stderr


def test_key(home: Home) -> None:
    home.create()
    home.key_file.write_text("tp_secret\n")
    assert CliRunner().invoke(app, ["key"]).stdout == "tp_secret\n"


def test_logs_of_something_else(home: Home) -> None:
    home.create()
    home.log("redis").touch()
    told = CliRunner().invoke(app, ["logs", "postgres"])
    assert (told.exit_code, told.stderr) == (1, "There is no log of 'postgres'; there are: redis\n")


def test_status_and_down_when_nothing_runs(home: Home) -> None:
    assert "down" in CliRunner().invoke(app, ["status"]).stdout
    told = CliRunner().invoke(app, ["status", "--json"])
    assert '"components": []' in told.stdout
    assert CliRunner().invoke(app, ["down"]).stdout == f"Nothing was running in {home.path}.\n"


def test_a_bad_scale_starts_nothing(home: Home) -> None:
    told = CliRunner().invoke(app, ["up", "--scale", "gateway"])
    assert told.exit_code == 1
    assert "write it like inference=2" in told.stderr
    assert not home.path.exists()


def test_a_demo_without_an_archive(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["demo", "--dataset", str(tmp_path / "none.zip")])
    assert told.exit_code == 1
    assert "none.zip" in told.stderr


def test_pools_and_scale_when_nothing_runs(home: Home) -> None:
    for command in (["pools"], ["scale", "inference", "3"], ["scale", "inference", "--auto", "--max", "4"]):
        told = CliRunner().invoke(app, command)
        assert (told.exit_code, told.stdout) == (1, "")
        assert "No stack runs in" in told.stderr


@pytest.mark.parametrize("words", [[], ["3", "--auto"], ["3", "--min", "1"], ["--max", "4"]])
def test_a_scale_that_says_too_little_or_too_much(home: Home, words: list[str]) -> None:
    told = CliRunner().invoke(app, ["scale", "inference", *words])
    assert told.exit_code == 1
    assert "tidepool scale inference 3" in told.stderr


def test_an_endless_idle_time(home: Home) -> None:
    told = CliRunner().invoke(app, ["scale", "inference", "--auto", "--idle", "inf"])
    assert told.exit_code == 2
    assert "--idle" in told.stderr


def test_pools_and_scale(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a deployment that answers every request with the pool as it is
    asked: list[tuple[str, str, bytes]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, request.content))
        return httpx.Response(200, json=POOL if request.method == "PATCH" else {"items": [POOL]})

    def connect(_: Home) -> Client:
        return Client("http://tidepool", "tp_key", transport=httpx.MockTransport(answer))

    monkeypatch.setattr("tidepool.cli.connection.connect", connect)

    # when
    commands = (
        ["pools"],
        ["pools", "--json"],
        ["scale", "inference", "3"],
        ["scale", "inference", "--auto", "--min", "0"],
    )
    told = [CliRunner().invoke(app, command) for command in commands]

    # then
    assert [each.exit_code for each in told] == [0] * 4
    assert all("inference" in each.stdout for each in told)
    assert json.loads(told[1].stdout)[0]["name"] == "inference"
    assert [(method, path) for method, path, _ in asked[2:]] == [("PATCH", "/v1/pools/inference")] * 2
    assert [json.loads(body) for *_, body in asked[2:]] == [
        {"mode": "manual", "replicas": 3},
        {"mode": "auto", "min": 0},
    ]
