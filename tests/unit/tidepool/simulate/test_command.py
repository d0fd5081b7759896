import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tidepool.cli.app import app

ROWS = "seconds,requests_per_second\n0,1\n60,30\n90,1\n300,0\n"


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "load.csv"
    path.write_text(ROWS)
    return path


def simulate(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", *(str(argument) for argument in arguments)])


def report(*arguments: object) -> dict[str, Any]:
    result = simulate(*arguments, "--json")
    assert result.exit_code == 0
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def test_it_prints_a_table_and_a_recommendation(trace: Path) -> None:
    result = simulate(trace)
    assert result.exit_code == 0
    assert "load:" in result.stdout
    assert "at most: min" in result.stdout


def test_options_set_the_policy(trace: Path) -> None:
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


def test_options_have_defaults(trace: Path) -> None:
    policy = report(trace)["policy"]
    assert (policy["min"], policy["max"]) == (1, 6)
    assert (policy["utilization"], policy["backlog_per_replica"]) == (0.7, 16.0)
    assert report(trace, "--jobs")["policy"]["utilization"] is None


def test_a_seed_makes_the_simulation_repeatable(trace: Path) -> None:
    assert report(trace, "--seed", 4) == report(trace, "--seed", 4)
    assert report(trace, "--seed", 4)["requests"] != report(trace, "--seed", 5)["requests"]


def test_the_cost_is_price_times_replica_hours(trace: Path) -> None:
    rows = report(trace, "--price", 2.5)["rows"]
    assert all(row["cost"] == pytest.approx(2.5 * row["replica_hours"]) for row in rows)


def test_a_built_in_trace_is_named() -> None:
    burst = report("burst", "--peak", 3, "--service-ms", 200)
    assert (burst["trace"], burst["seconds"]) == ("burst", 3600)


def test_the_plot_is_an_svg_file(trace: Path, tmp_path: Path) -> None:
    assert simulate(trace, "--plot", tmp_path / "plot.svg").exit_code == 0
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["weekly"], "use diurnal, burst, fleet or a CSV file"),
        (["burst", "--min", "9", "--max", "8"], "--min 9 is more than --max 8"),
    ],
)
def test_invalid_arguments_are_refused(arguments: list[str], message: str) -> None:
    result = simulate(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("option", ["--backlog", "--requests-per-minute", "--wait-target", "--price"])
def test_infinite_values_are_refused(trace: Path, option: str) -> None:
    result = simulate(trace, option, "inf")
    assert result.exit_code == 2
    assert option in result.stderr
