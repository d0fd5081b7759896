import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from tidepool.cli.app import app


def cluster(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["simulate", "cluster", *(str(argument) for argument in arguments)])


def limits(*arguments: object) -> list[dict[str, Any]]:
    result = cluster(*arguments, "--json")
    assert result.exit_code == 0
    parsed: list[dict[str, Any]] = json.loads(result.stdout)
    return parsed


def test_it_says_which_limit_comes_first() -> None:
    result = cluster("--replicas", 100, "--job-s", 10, "--claim-ms", 1000, "--connections", 100_000)
    assert result.exit_code == 0
    assert "The first limit is claims, one after the other, full at 7 replicas" in result.stdout
    assert "The deployment is over the first." in result.stdout


def test_the_limits_are_in_the_order_of_the_replicas_at_which_they_are_full() -> None:
    most = [limit["most_replicas"] for limit in limits("--replicas", 10) if limit["most_replicas"] is not None]
    assert most == sorted(most)
    assert len(most) >= 5


def test_measured_costs_are_read(tmp_path: Path) -> None:
    cpu = ("create a job", "claim", "claim, and give back", "renew a lease", "renew a lease, with progress")
    timings = {name: {"median": 5.0, "cpu": 1.0} for name in (*cpu, "count the queues")}
    few = {name: {"median": 1.0, "cpu": 0.1} for name in timings}
    measured = [
        {"database": "PostgreSQL", "rows": 10, "timings": few},
        {"database": "PostgreSQL", "rows": 1000, "timings": timings},
        {"database": "SQLite", "rows": 9999, "timings": few},
    ]
    redis = {"relay_ms": 2.0, "wake_ms": 0.1, "beat_ms": 0.1, "report_ms": 0.001, "batch_ms": 0.2}
    file = tmp_path / "storage.json"
    file.write_text(json.dumps({"measured": measured, "redis": redis}))

    by_name = {limit["name"]: limit for limit in limits("--costs", file, "--replicas", 70, "--job-s", 1)}

    assert by_name["claims, one after the other"]["available"] == 140
    assert by_name["relay of wake-up messages"]["available"] == 350


def test_a_file_without_costs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "storage.json"
    for text in ("no JSON", "{}", '{"measured": []}'):
        file.write_text(text)
        result = cluster("--costs", file)
        assert result.exit_code == 1
        assert "is not the storage.json of `make bench-storage`" in result.stderr
