"""The jobs that wait for each pool, and the workers that run one."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from contract.jobs import JobKind, JobState
from contract.pools import POOL_NAMES, PoolName, Queue
from services.storage.database import Database
from services.storage.jobs.counts import queued_by_kind
from services.storage.jobs.seats import SeatCount, Seats, count_seats
from services.storage.tables import in_state, jobs


def queues(connection: Connection, now: datetime) -> dict[PoolName, Queue]:
    """Return for each pool the number of due rows, of running rows, and the longest wait of a due row.

    A free seat of a training on several replicas counts as waiting, one that is taken as running; so replicas are
    started for it. Parts count like jobs; a job that waits for its parts counts neither as waiting nor as running.
    Reads the counters, the rows that run, and of the queued ones those that are not due yet.
    """
    queued, running = queued_by_kind(connection), _running(connection)
    since, later = oldest_due(connection, now), _later(connection, now)

    offered = count_seats(connection, now)

    def total(pool: PoolName, counts: dict[str, int]) -> int:
        return sum(number for kind, number in counts.items() if JobKind(kind).pool == pool)

    def oldest(pool: PoolName) -> float:
        times = [at for kind, at in since.items() if JobKind(kind).pool == pool]
        return (now - min(times)).total_seconds() if times else 0.0

    def queue(pool: PoolName) -> Queue:
        seats, due = offered.get(pool, SeatCount()), max(0, total(pool, queued) - total(pool, later))
        return Queue(waiting=due + seats.free, running=total(pool, running) + seats.taken, oldest_s=oldest(pool))

    return {pool: queue(pool) for pool in POOL_NAMES}


def oldest_due(connection: Connection, now: datetime) -> dict[str, datetime]:
    """Return since when the oldest due row of each kind has been due; kinds without any are left out."""
    due = and_(in_state(jobs, JobState.QUEUED), jobs.c.run_at <= now)
    return {kind: at for kind, at in _by_kind(connection, select(func.min(jobs.c.run_at)).where(due)) if at}


def _later(connection: Connection, now: datetime) -> dict[str, int]:
    """Return how many queued rows of each kind are not due yet."""
    later = and_(in_state(jobs, JobState.QUEUED), jobs.c.run_at > now)
    return dict(_by_kind(connection, select(func.count()).where(later)))


def _by_kind(connection: Connection, query: "Select[Any]") -> Iterator[tuple[str, Any]]:
    """Yield the value of a query for each kind; with GROUP BY, all queued rows would be read."""
    values = (query.where(jobs.c.kind == kind).scalar_subquery() for kind in JobKind)
    row = connection.execute(select(*values)).one()
    yield from zip(JobKind, row, strict=True)


_HELD = and_(in_state(jobs, JobState.RUNNING), jobs.c.lease_until.is_not(None))


def _running(connection: Connection) -> dict[str, int]:
    counts = select(jobs.c.kind, func.count()).where(_HELD).group_by(jobs.c.kind)
    return {kind: int(number) for kind, number in connection.execute(counts)}


class JobHolders:
    """The workers that hold a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_seats(self) -> frozenset[str]:
        """Return `host:pid` of each worker in a seat of another's job; raises DatabaseUnavailable."""
        return Seats(self._database).workers()

    def names(self) -> frozenset[str]:
        """Return `host:pid` of each worker with a lease, which may have died; raises DatabaseUnavailable."""
        with self._database.read() as connection:
            return frozenset(name for name in connection.execute(select(jobs.c.worker).where(_HELD)).scalars() if name)
