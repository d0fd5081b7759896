from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidepool.cli import app
from tidepool.home import Home


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
