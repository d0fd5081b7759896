"""The health report of a deployment, and of the machine that `tidepool doctor` runs on."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contract.base import Frozen, Moment


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # it works, but something should be changed
    PROBLEM = "problem"  # something does not work, or soon will not

    @property
    def severity(self) -> int:
        return list(Level).index(self)


class Check(Frozen):
    """One line of the report: what was checked, what was found, and unless it is ok, what to do."""

    component: str
    name: str
    level: Level
    message: str
    advice: str | None = None
    latency_ms: Annotated[float, Field(ge=0)] | None = None


class HealthReport(Frozen):
    """`status` is the worst level of the checks, `version` that of the gateway, `at` the time on its clock."""

    status: Level
    version: str
    at: Moment
    checks: tuple[Check, ...]


def worst(checks: Iterable[Check]) -> Level:
    return max((check.level for check in checks), key=lambda level: level.severity, default=Level.OK)


def passed(component: str, name: str, message: str, latency_ms: float | None = None) -> Check:
    return Check(component=component, name=name, level=Level.OK, message=message, latency_ms=latency_ms)


def warning(component: str, name: str, message: str, advice: str, latency_ms: float | None = None) -> Check:
    return Check(
        component=component, name=name, level=Level.WARNING, message=message, advice=advice, latency_ms=latency_ms
    )


def problem(component: str, name: str, message: str, advice: str) -> Check:
    return Check(component=component, name=name, level=Level.PROBLEM, message=message, advice=advice)
