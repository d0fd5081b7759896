"""/livez and /readyz: the health of the process and its servers; /v1/health: the report of the whole deployment."""

import asyncio
from collections.abc import Awaitable
from typing import Literal

from fastapi import APIRouter

from contract.base import Frozen
from contract.errors import Unavailable
from contract.health import HealthReport
from services.gateway.dependencies import MAY_ADMIN, BackendsDep
from services.gateway.edge.problems import documented

router = APIRouter(tags=["health"])

Health = Literal["ok", "unavailable"]

WAIT_S = 0.5  # for a server that the gateway can do without; load balancers give a check a second


class Liveness(Frozen):
    status: Literal["alive"] = "alive"


class Readiness(Frozen):
    """Ready while the database answers: jobs are accepted even if the broker or the object store is down."""

    status: Literal["ready", "degraded"]
    database: Health
    broker: Health
    objects: Health


@router.get("/livez")
def live() -> Liveness:
    """200 while the process answers."""
    return Liveness()


@router.get("/readyz", responses={503: documented()[503]})
async def ready(backends: BackendsDep) -> Readiness:
    """200 while jobs can be accepted; tells which servers answer, as of a second ago at most."""
    await backends.answering.get("database")
    broker, objects = await asyncio.gather(
        _health(backends.predictor.inference.ping()), _health(backends.answering.get("objects"))
    )
    status: Literal["ready", "degraded"] = "ready" if (broker, objects) == ("ok", "ok") else "degraded"
    return Readiness(status=status, database="ok", broker=broker, objects=objects)


async def _health(answer: Awaitable[bool | None]) -> Health:
    """Wait for the answer of a server, but not for long: one that hangs must not make the gateway look dead."""
    try:
        answers = await asyncio.wait_for(answer, WAIT_S)
    except (Unavailable, TimeoutError):
        return "unavailable"
    return "unavailable" if answers is False else "ok"


@router.get("/v1/health", dependencies=MAY_ADMIN, responses=documented())
async def report(backends: BackendsDep) -> HealthReport:
    """Every component with its version, latency and what to do; 200 even if something does not work."""
    return await backends.diagnosis.report()
