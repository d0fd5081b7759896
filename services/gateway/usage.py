"""/v1/usage: what replicas were used for."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from contract.errors import Invalid
from contract.usage import Usage, UsageBy
from services.gateway.dependencies import MAY_READ, Behind, Limit
from services.gateway.problems import documented

router = APIRouter(prefix="/v1/usage", tags=["pools"])

DAYS = 30  # where `since` is not given
MOST_DAYS = 366

Day = Annotated[date | None, Query(description="A day in UTC, included.")]


@router.get("", dependencies=MAY_READ, responses=documented())
def get_usage(
    behind: Behind, since: Day = None, until: Day = None, by: UsageBy = UsageBy.DAY, limit: Limit = 50
) -> Usage:
    """Replica-seconds by day, pool, model or job, and what as many replicas as allowed would have come to.

    `limit` is that of models and jobs, of which the costliest come first.
    """
    until = until or behind.stores.database.now().date()
    since = since or date.fromordinal(max(1, until.toordinal() - DAYS + 1))
    if not 0 <= (until - since).days < MOST_DAYS:
        raise Invalid(f"from since, {since}, to until, {until}, must be 1 to {MOST_DAYS} days")
    return behind.stores.ledger.sums(since, until, by, limit)
