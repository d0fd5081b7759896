"""/livez and /readyz: the health of the process and of the servers that it needs."""

from typing import Literal

from fastapi import APIRouter

from contract.base import Frozen
from contract.errors import Unavailable
from services.gateway.dependencies import BackendsDep
from services.gateway.edge.problems import documented

router = APIRouter(tags=["health"])

Health = Literal["ok", "unavailable"]


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
    objects: Health = "ok" if await backends.answering.get("objects") else "unavailable"
    try:
        await backends.predictor.inference.ping()
        broker: Health = "ok"
    except Unavailable:
        broker = "unavailable"
    status: Literal["ready", "degraded"] = "ready" if (broker, objects) == ("ok", "ok") else "degraded"
    return Readiness(status=status, database="ok", broker=broker, objects=objects)
