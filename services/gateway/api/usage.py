"""/v1/usage: the replica-seconds that were used, and the bytes that are stored."""

import re
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from contract.access import Scope
from contract.errors import Invalid
from contract.usage import StorageUsage, Usage, UsageBy
from services.gateway.dependencies import MAY_READ, BackendsDep, CallerDep, Limit
from services.gateway.edge.access import require
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1/usage", tags=["pools"])

DEFAULT_DAYS = 30  # without `since`
MAX_DAYS = 366

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _require_day(value: object) -> object:
    """Reject values that pydantic would convert to a date, such as 0 to 1970-01-01."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("write a day as in 2026-01-31")
    return value


Day = Annotated[date | None, BeforeValidator(_require_day), Query(description="A day in UTC, included.")]


@router.get("", dependencies=MAY_READ, responses=documented())
def get_usage(
    backends: BackendsDep,
    caller: CallerDep,
    since: Day = None,
    until: Day = None,
    by: UsageBy = UsageBy.DAY,
    limit: Limit = 50,
) -> Usage:
    """Replica-seconds by day, pool, model or job, and those that a constant maximum of replicas would have used.

    `limit` applies to models and jobs; the most expensive come first.
    """
    until = until or backends.stores.database.now().date()
    since = since or date.fromordinal(max(1, until.toordinal() - DEFAULT_DAYS + 1))
    if not 0 <= (until - since).days < MAX_DAYS:
        raise Invalid(f"since ({since}) to until ({until}) must be 1 to {MAX_DAYS} days; change one of them")
    return backends.stores.ledger.sums(caller.project, since, until, by, limit)


@router.get("/storage", dependencies=MAY_READ, responses=documented())
def get_storage(
    backends: BackendsDep,
    caller: CallerDep,
    every: Annotated[bool, Query(alias="all", description="All projects; needs the scope `admin`.")] = False,
) -> StorageUsage:
    """Objects and bytes of the project in the object store, by category, as of the last listing."""
    if not every:
        return backends.stores.storage.of(caller.project)
    require(caller, Scope.ADMIN)
    return backends.stores.storage.all()
