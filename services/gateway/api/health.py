"""/livez and /readyz"""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from contract.base import Frozen
from contract.errors import TidepoolError, Unavailable
from services.gateway.dependencies import Behind
from services.gateway.edge.problems import documented

router = APIRouter(tags=["health"])

Health = Literal["ok", "unavailable"]


class Liveness(Frozen):
    status: Literal["alive"] = "alive"


class Readiness(Frozen):
    """Ready while the database answers: jobs are accepted then, also when the broker or the object store is away."""

    status: Literal["ready", "degraded"]
    database: Health
    broker: Health
    objects: Health


@router.get("/livez")
def live() -> Liveness:
    """200 while the process answers."""
    return Liveness()


@router.get("/readyz", responses={503: documented()[503]})
async def ready(behind: Behind) -> Readiness:
    """200 while jobs can be accepted; says which of the servers behind it answer."""
    await run_in_threadpool(behind.stores.database.ping)
    objects = await run_in_threadpool(_health, behind.stores.objects.ping)
    try:
        await behind.predictor.asker.ping()
        broker: Health = "ok"
    except Unavailable:
        broker = "unavailable"
    status: Literal["ready", "degraded"] = "ready" if (broker, objects) == ("ok", "ok") else "degraded"
    return Readiness(status=status, database="ok", broker=broker, objects=objects)


def _health(ping: Callable[[], None]) -> Health:
    try:
        ping()
    except TidepoolError:
        return "unavailable"
    return "ok"
