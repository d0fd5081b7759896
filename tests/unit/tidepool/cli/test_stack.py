"""`tidepool up`, `down`, `status`, `logs`, `key`, `demo`"""

from pathlib import Path

import pytest

from tests.unit.tidepool.cli.conftest import run
from tidepool.stack.home import Home


@pytest.fixture
def home(environment: Path) -> Home:
    return Home.from_environment()


def test_key_fails_before_the_first_start(home: Home) -> None:
    result = run("key")

    assert (result.code, result.out) == (1, "")
    assert "the first `tidepool up` creates it" in result.err


def test_key_prints_the_key(home: Home) -> None:
    home.create()
    home.key_file.write_text("tp_secret\n")

    assert run("key").out == "tp_secret\n"


def test_logs_of_an_unknown_component_lists_the_known_ones(home: Home) -> None:
    home.create()
    home.log("redis").touch()

    result = run("logs", "../postgres")

    assert (result.code, result.err) == (1, "There is no log of '../postgres'. Available: redis\n")


def test_status_and_down_when_nothing_runs(home: Home) -> None:
    assert "down" in run("status").out
    assert run("status", "--json").json["components"] == []
    assert run("down").out == f"Nothing was running in {home.path}.\n"


def test_an_invalid_scale_starts_nothing(home: Home) -> None:
    result = run("up", "--scale", "gateway")

    assert result.code == 1
    assert "write it like inference=2" in result.err
    assert not home.path.exists()


def test_a_demo_of_a_missing_archive_fails(tmp_path: Path) -> None:
    result = run("demo", "--dataset", tmp_path / "none.zip")

    assert result.code == 2
    assert "none.zip does not exist" in result.err


def test_version_prints_a_number() -> None:
    assert run("version").out[0].isdecimal()
