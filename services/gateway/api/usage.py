"""/v1/usage: what replicas were used for."""

import re
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BeforeValidator

from contract.errors import Invalid
from contract.usage import Usage, UsageBy
from services.gateway.dependencies import MAY_READ, Behind, Limit
from services.gateway.edge.problems import documented

router = APIRouter(prefix="/v1/usage", tags=["pools"])

DAYS = 30  # where `since` is not given
MOST_DAYS = 366

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _written(value: object) -> object:
    """Let nothing else pass for a day: 0 would be the first of 1970."""
    if isinstance(value, str) and not _DAY.fullmatch(value):
        raise ValueError("write a day as in 2026-01-31")
    return value


Day = Annotated[date | None, BeforeValidator(_written), Query(description="A day in UTC, included.")]


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
