"""What pools had to do: the online requests of each minute, and the jobs."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import delete, func, insert, select, update

from contract.jobs import JobKind
from contract.kinds.registry import all_kinds
from contract.pools import PoolName
from contract.usage import Purpose
from services.storage.database import Database
from services.storage.jobs.rows import id_at
from services.storage.tables import jobs, traffic, usage

KEPT = timedelta(days=8)
MOST_JOBS = 20_000  # the newest that a reader gets


class Arrived(NamedTuple):
    """Requests or jobs that arrived at a moment, or within the minute that begins then."""

    at: datetime
    number: int


class Traffic:
    """The requests and jobs of pools, from all projects; methods raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, pool: PoolName, requests: int) -> None:
        """Count requests of the present minute; raises Conflict if another gateway was faster."""
        minute = self._database.now().replace(second=0, microsecond=0)
        row = (traffic.c.pool == pool) & (traffic.c.minute == minute)
        with self._database.write() as connection:
            counted = update(traffic).where(row).values(requests=traffic.c.requests + requests)
            if not connection.execute(counted).rowcount:
                connection.execute(insert(traffic).values(pool=pool, minute=minute, requests=requests))

    def requests(self, pool: PoolName, since: datetime, until: datetime) -> list[Arrived]:
        """Return the minutes with requests, in order."""
        minutes = traffic.c.minute
        query = select(minutes, traffic.c.requests).where(traffic.c.pool == pool, minutes >= since, minutes < until)
        with self._database.read() as connection:
            return [Arrived(*row) for row in connection.execute(query.order_by(minutes))]

    def seconds_per_request(self, pool: PoolName) -> float | None:
        """Return the replica-seconds of a request, on average over the days with counted requests; None without any."""
        with self._database.read() as connection:
            first, total = connection.execute(
                select(func.min(traffic.c.minute), func.sum(traffic.c.requests)).where(traffic.c.pool == pool)
            ).one()
            if not total:
                return None
            spent = select(func.sum(usage.c.seconds)).where(
                usage.c.pool == pool, usage.c.purpose == Purpose.ONLINE, usage.c.day >= first.date()
            )
            seconds = connection.execute(spent).scalar()
        return float(seconds) / int(total) if seconds else None

    def jobs(self, pool: PoolName, since: datetime, until: datetime) -> tuple[list[Arrived], float | None]:
        """Return when jobs and parts were submitted, in order, and the mean seconds of those that have ended."""
        kinds = [kind for kind in (JobKind(definition.name) for definition in all_kinds()) if kind.pool == pool]
        row = jobs.c
        query = select(row.created_at, row.started_at, row.finished_at).where(
            row.kind.in_(kinds),
            row.created_at >= since,
            row.created_at < until,
            row.parts_total.is_(None),
            row.id >= id_at(since),  # by the primary key; ids are made a moment after `created_at` is read
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(row.created_at.desc()).limit(MOST_JOBS)).all()
        ended = [
            (finished - started).total_seconds() for _, started, finished in rows if started is not None and finished
        ]
        return [Arrived(created, 1) for created, *_ in reversed(rows)], sum(ended) / len(ended) if ended else None

    def prune(self) -> None:
        """Delete what is older than KEPT."""
        with self._database.write() as connection:
            connection.execute(delete(traffic).where(traffic.c.minute < self._database.now() - KEPT))
