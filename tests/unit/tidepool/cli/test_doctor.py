"""`tidepool doctor`"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from contract import __version__
from contract.access import ApiKey
from contract.health import Check, HealthReport, Level, passed, problem, warning
from tests.unit.tidepool.cli.conftest import Deployment, example, run
from tidepool.doctor import machine

FINE = passed("database", "answers", "SQLite 3.46 answers", 0.4)
BROKEN = problem("storage", "runs", "none reports", "Start it.")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def checks(_: object) -> Iterator[Check]:
        yield passed("machine", "cores", "8 to use")

    monkeypatch.setattr(machine, "machine_checks", checks)


def health(*checks: Check, at: datetime | None = None, version: str = __version__) -> dict[str, Any]:
    status = max((check.level for check in checks), key=lambda level: level.severity)
    report = HealthReport(status=status, version=version, at=at or datetime.now(UTC), checks=checks)
    return report.model_dump(mode="json")


@pytest.fixture
def server(deployment: Deployment) -> Deployment:
    """A deployment that is ready, with a report without a problem."""
    deployment.on("GET", "/livez", {"status": "alive"})
    deployment.on("GET", "/readyz", {"status": "ready", "database": "ok", "broker": "ok", "objects": "ok"})
    deployment.on("GET", "/v1/me", example(ApiKey, expires_at=None))
    deployment.on("GET", "/v1/health", health(FINE))
    return deployment


def levels(result: Any) -> dict[str, str]:
    """What is not ok, by component and name."""
    checks = result.json["checks"]
    return {f"{check['component']} {check['name']}": check["level"] for check in checks if check["level"] != "ok"}


def test_a_deployment_without_a_problem(server: Deployment) -> None:
    result = run("doctor")

    assert (result.code, result.err) == (0, "")
    assert "Everything is fine." in result.out
    assert "SQLite 3.46 answers  [0.4 ms]" in result.out
    assert "8 to use" in result.out


def test_json_is_a_report_of_the_machine_and_the_deployment(server: Deployment) -> None:
    result = run("doctor", "--json")

    report = HealthReport.model_validate(result.json)
    assert (result.code, report.status) == (0, Level.OK)
    assert {check.component for check in report.checks} == {"machine", "connection", "database"}


def test_a_problem_of_the_deployment_is_told_with_what_to_do(server: Deployment) -> None:
    server.on("GET", "/v1/health", health(FINE, BROKEN))

    result = run("doctor")

    assert result.code == 5
    assert "problem  runs" in result.out
    assert "Start it." in result.out
    assert "1 problem, 0 warnings." in result.out


def test_a_warning_does_not_fail(server: Deployment) -> None:
    server.on("GET", "/v1/health", health(warning("redis", "memory", "400 of 512 MiB used", "Raise maxmemory.")))

    assert run("doctor").code == 0


def test_without_a_stack_the_machine_is_checked(environment: Path) -> None:
    result = run("doctor")

    assert result.code == 0
    assert "8 to use" in result.out
    assert "`tidepool up`" in result.out


def test_a_gateway_that_does_not_answer(deployment: Deployment) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    deployment.__class__ = type("Away", (Deployment,), {"__call__": lambda self, request: refuse(request)})

    result = run("doctor", "--json")

    assert result.code == 5
    assert levels(result) == {"connection latency": "problem"}


def test_a_gateway_without_its_database(server: Deployment) -> None:
    body = {"code": "database_unavailable", "detail": "the database does not answer", "status": 503}
    server.on("GET", "/readyz", body, status=503)

    result = run("doctor", "--json")

    assert (result.code, levels(result)) == (5, {"connection ready": "problem"})


def test_a_refused_key(server: Deployment) -> None:
    server.on("GET", "/v1/me", {"code": "unauthenticated", "detail": "unknown key", "status": 401}, status=401)

    result = run("doctor", "--json")

    assert (result.code, levels(result)) == (3, {"connection key": "problem"})


@pytest.mark.parametrize(("status", "code"), [(403, "forbidden"), (404, "no_such_path")])
def test_another_key_and_an_older_server_tell_less(server: Deployment, status: int, code: str) -> None:
    server.on("GET", "/v1/health", {"code": code, "detail": "no", "status": status}, status=status)

    result = run("doctor", "--json")

    assert (result.code, levels(result)) == (0, {"connection report": "warning"})


def test_another_clock_another_release_and_a_key_that_ends_soon_are_warnings(server: Deployment) -> None:
    soon = datetime.now(UTC) + timedelta(days=3)
    server.on("GET", "/v1/me", example(ApiKey, expires_at=soon.isoformat()))
    server.on("GET", "/v1/health", health(FINE, at=datetime.now(UTC) - timedelta(minutes=5), version="9.9.9"))

    result = run("doctor", "--json")

    expected = {"connection key", "connection clock", "connection version"}
    assert (result.code, levels(result)) == (0, dict.fromkeys(expected, "warning"))


def test_text_of_a_server_cannot_change_the_terminal(server: Deployment) -> None:
    server.on("GET", "/v1/health", health(passed("database", "answers", "\x1b[2J[bold]gone")))

    result = run("doctor")

    assert "\x1b" not in result.out
    assert "[bold]gone" in result.out
