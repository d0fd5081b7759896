import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tidepool.cli.app import app

ROWS = "seconds,requests_per_second\n0,1\n60,30\n90,1\n300,0\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(ROWS)
    return path


def simulated(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *(str(argument) for argument in arguments)])


def report(*arguments: object) -> dict[str, Any]:
    result = simulated(*arguments, "--json")
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_table_and_an_advice(trace: Path) -> None:
    result = simulated(trace)
    assert result.exit_code == 0
    assert "mine:" in result.stdout
    assert "at most: min" in result.stdout


def test_the_pool_s_settings(trace: Path) -> None:
    policy = report(trace, "--min", 2, "--max", 5, "--idle-s", 9, "--quiet-s", 8, "--requests-per-minute", 99)["policy"]
    assert policy == {
        "min": 2,
        "max": 5,
        "idle_s": 9.0,
        "quiet_s": 8.0,
        "backlog_per_replica": None,
        "utilization": None,
        "requests_per_minute": 99.0,
    }


def test_settings_that_are_not_given(trace: Path) -> None:
    policy = report(trace)["policy"]
    assert (policy["min"], policy["max"]) == (1, 6)
    assert (policy["utilization"], policy["backlog_per_replica"]) == (0.7, 16.0)
    assert report(trace, "--jobs")["policy"]["utilization"] is None


def test_a_seed_is_repeatable(trace: Path) -> None:
    assert report(trace, "--seed", 4) == report(trace, "--seed", 4)
    assert report(trace, "--seed", 4)["requests"] != report(trace, "--seed", 5)["requests"]


def test_a_price(trace: Path) -> None:
    rows = report(trace, "--price", 2.5)["rows"]
    assert all(row["cost"] == pytest.approx(2.5 * row["replica_hours"]) for row in rows)


def test_a_named_trace() -> None:
    found = report("burst", "--peak", 3, "--service-ms", 200)
    assert (found["trace"], found["seconds"]) == ("burst", 3600)


def test_a_plot(trace: Path, tmp_path: Path) -> None:
    assert simulated(trace, "--plot", tmp_path / "plot.svg").exit_code == 0
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["weekly"], "name diurnal, burst, fleet or a CSV file"),
        (["burst", "--min", "9", "--max", "8"], "--min 9 is more than --max 8"),
    ],
)
def test_what_is_refused(arguments: list[str], said: str) -> None:
    result = simulated(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--backlog", "--requests-per-minute", "--wait-target", "--price"])
def test_what_is_endless(trace: Path, option: str) -> None:
    result = simulated(trace, option, "inf")
    assert result.exit_code == 2
    assert option in result.stderr
