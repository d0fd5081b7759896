"""What the reports of processes and replicas mean"""

from datetime import UTC, datetime
from typing import Any

import pytest

from contract import __version__
from contract.health import Level
from contract.pools import Measured, PoolMode, ScalingPolicy
from contract.reports import GatewayReport, PoolReports, ProcessReport, ReplicaReport
from services.gateway.diagnosis.processes import gateway_checks, pool_check, process_checks, span
from services.storage.pools.pools import PoolSetting

CURRENT = ProcessReport(__version__, 0.2)
SETTING = PoolSetting("trainer", PoolMode.MANUAL, ScalingPolicy(), 2, 4, 1, datetime(2026, 1, 31, tzinfo=UTC))


def setting(**changes: Any) -> PoolSetting:
    return PoolSetting(**(vars(SETTING) | changes))


def measured(ready: int | None, waiting: int = 0) -> Measured:
    return Measured(at=0, ready=ready, waiting=waiting, running=0)


def replicas(*versions: str | None) -> dict[str, PoolReports]:
    reports = {str(number): ReplicaReport(False, 0.0, False, version) for number, version in enumerate(versions)}
    return {"trainer": PoolReports(reports)}


def test_processes_that_run() -> None:
    storage, autoscaler = process_checks({"storage": {"a": CURRENT}, "autoscaler": {"b": CURRENT}}, True)

    assert (storage.level, autoscaler.level) == (Level.OK, Level.OK)
    assert __version__ in storage.message


def test_a_storage_process_that_does_not_run_is_a_problem() -> None:
    storage, autoscaler = process_checks({"storage": {}, "autoscaler": {}}, False)

    assert storage.level is Level.PROBLEM
    assert "tidepool logs storage" in (storage.advice or "")
    assert autoscaler.level is Level.OK  # none has ever reported, as on Kubernetes


def test_an_autoscaler_that_was_there_and_is_gone_is_a_problem() -> None:
    _, autoscaler = process_checks({"storage": {"a": CURRENT}}, True)

    assert (autoscaler.component, autoscaler.level) == ("autoscaler", Level.PROBLEM)


def test_a_loop_that_hangs_is_a_problem_unless_another_process_works() -> None:
    stuck = ProcessReport(__version__, 600.0)

    alone, _ = process_checks({"storage": {"a": stuck}}, False)
    helped, _ = process_checks({"storage": {"a": stuck, "b": CURRENT}}, False)

    assert alone.level is Level.PROBLEM
    assert "no pass for 10 min" in alone.message
    assert helped.level is Level.OK


def test_a_process_of_another_release_is_a_warning() -> None:
    storage, _ = process_checks({"storage": {"a": ProcessReport("0.0.1", 0.1)}}, False)

    assert (storage.level, "0.0.1" in storage.message) == (Level.WARNING, True)


def test_without_redis_nothing_is_known_of_the_processes() -> None:
    assert [check.level for check in process_checks(None, True)] == [Level.WARNING, Level.WARNING]
    assert pool_check(SETTING, measured(None), None).level is Level.WARNING
    assert list(gateway_checks(None)) == []


@pytest.mark.parametrize(
    ("pool", "load", "expected"),
    [
        (SETTING, measured(2), Level.OK),
        (SETTING, measured(1), Level.WARNING),
        (SETTING, measured(0), Level.PROBLEM),
        (setting(desired=0), measured(0), Level.OK),
        (setting(desired=0), measured(0, waiting=3), Level.PROBLEM),
        (setting(created=1), measured(1), Level.WARNING),
        (setting(created=None), measured(0), Level.OK),  # KEDA scales it, and there is no work
        (setting(created=None), measured(0, waiting=3), Level.PROBLEM),
    ],
)
def test_a_pool_needs_its_replicas(pool: PoolSetting, load: Measured, expected: Level) -> None:
    check = pool_check(pool, load, {})

    assert check.level is expected
    assert (check.advice is None) == (expected is Level.OK)


def test_replicas_of_another_release_or_without_a_version_are_a_warning() -> None:
    check = pool_check(SETTING, measured(2), replicas(__version__, "9.9.9" + "x" * 1000))
    older = pool_check(SETTING, measured(2), replicas(__version__, None))

    assert (check.level, older.level) == (Level.WARNING, Level.WARNING)
    assert "9.9.9" in check.message
    assert len(check.message) < 120
    assert "an older one" in older.message
    assert pool_check(SETTING, measured(2), replicas(__version__, __version__)).level is Level.OK


def test_gateways_of_several_releases_are_a_warning() -> None:
    same, other = GatewayReport(0, 0.0, __version__), GatewayReport(0, 0.0, "9.9.9")

    (one,) = gateway_checks({"inference": PoolReports({}, {"a": same})})
    (two,) = gateway_checks({"inference": PoolReports({}, {"a": same, "b": other})})

    assert (one.level, one.message) == (Level.OK, "1 gateway reports, of the same release")
    assert two.level is Level.WARNING


@pytest.mark.parametrize(
    ("seconds", "text"), [(3, "3 s"), (600, "10 min"), (3 * 3600, "3.0 h"), (10 * 86_400, "10 days")]
)
def test_a_span_has_one_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
