"""The history of pools: written in the transaction of each change; only the newest changes are kept, and all limits."""

from collections import defaultdict
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, select

from contract.base import Frozen
from contract.errors import Invalid
from contract.pools import POOL_NAMES, Measured, PoolChange, PoolName
from services.storage.database import Database
from services.storage.tables import pool_changes, pool_limits

KEPT = 1000  # changes of each pool
LARGEST_CURSOR = 2**63 - 1


class PoolChangePage(Frozen):
    """Changes, newest first; `next` is the cursor of the next page."""

    items: tuple[PoolChange, ...]
    next: str | None


class Limit(NamedTuple):
    """The largest number of replicas that a pool could have from a moment on."""

    at: datetime
    most: int


def add_limit(connection: Connection, name: PoolName, most: int, database: Database) -> None:
    """Record the largest number of replicas that a pool may have from now on."""
    connection.execute(insert(pool_limits).values(pool=name, at=database.now(), most=most))


def limits(connection: Connection) -> dict[str, list[Limit]]:
    """Return the limits of each pool in the order of time."""
    by_pool: dict[str, list[Limit]] = defaultdict(list)
    for row in connection.execute(select(pool_limits).order_by(pool_limits.c.id)):
        by_pool[row.pool].append(Limit(row.at, row.most))
    return by_pool


def add_change(
    connection: Connection, name: PoolName, desired: int, reason: str, measured: Measured, database: Database
) -> None:
    """Record the new size of a pool, with the reason and the load at that time."""
    load = {"ready": measured.ready, "waiting": measured.waiting, "running": measured.running}
    values = {"pool": name, "at": database.now(), "desired": desired, "reason": reason}
    connection.execute(insert(pool_changes).values(values | load))


def changes(connection: Connection, name: PoolName, limit: int, cursor: str | None) -> PoolChangePage:
    """Return a page of at most `limit` changes after `cursor`, newest first; raises Invalid for a malformed cursor."""
    query = select(pool_changes).where(pool_changes.c.pool == name).order_by(pool_changes.c.id.desc())
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdecimal() and int(cursor) <= LARGEST_CURSOR):
            raise Invalid("cursor must be the `next` of the previous page")
        query = query.where(pool_changes.c.id < int(cursor))
    rows = connection.execute(query.limit(limit + 1)).mappings().all()
    items = tuple(PoolChange.model_validate({f: row[f] for f in PoolChange.model_fields}) for row in rows[:limit])
    return PoolChangePage(items=items, next=str(rows[limit - 1]["id"]) if len(rows) > limit else None)


def prune(connection: Connection) -> None:
    """Delete all but the newest changes of each pool."""
    for name in POOL_NAMES:
        of_pool = pool_changes.c.pool == name
        newest = select(pool_changes.c.id).where(of_pool).order_by(pool_changes.c.id.desc())
        stale = newest.offset(KEPT).limit(1).scalar_subquery()
        connection.execute(delete(pool_changes).where(of_pool, pool_changes.c.id <= stale))
