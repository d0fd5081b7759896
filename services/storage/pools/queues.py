"""The jobs that wait for each pool, and the workers that run one."""

from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from contract.jobs import JobKind, JobState
from contract.pools import POOL_NAMES, PoolName, Queue
from services.storage.database import Database
from services.storage.jobs.seats import SeatCount, Seats, count_seats
from services.storage.tables import jobs


def queues(connection: Connection, now: datetime) -> dict[PoolName, Queue]:
    """Return for each pool the number of due rows, of running rows, and the longest wait of a due row.

    A free seat of a training on several replicas counts as waiting, one that is taken as running; so replicas are
    started for it. Parts count like jobs; a job that waits for its parts counts neither as waiting nor as running.
    """
    waits = and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now, jobs.c.cancel_requested.is_(False))
    runs = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until.is_not(None))
    counts = select(jobs.c.kind, jobs.c.state, func.count(), func.min(jobs.c.run_at)).where(or_(waits, runs))
    rows = connection.execute(counts.group_by(jobs.c.kind, jobs.c.state)).all()

    offered = count_seats(connection, now)

    def total(pool: PoolName, state: JobState) -> int:
        return sum(count for kind, its_state, count, _ in rows if (JobKind(kind).pool, its_state) == (pool, state))

    def oldest(pool: PoolName) -> float:
        since = [at for kind, state, _, at in rows if JobKind(kind).pool == pool and state == JobState.QUEUED]
        return (now - min(since)).total_seconds() if since else 0.0

    def queue(pool: PoolName) -> Queue:
        seats = offered.get(pool, SeatCount())
        waiting, running = total(pool, JobState.QUEUED) + seats.free, total(pool, JobState.RUNNING) + seats.taken
        return Queue(waiting=waiting, running=running, oldest_s=oldest(pool))

    return {pool: queue(pool) for pool in POOL_NAMES}


class JobHolders:
    """The workers that hold a lease."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def in_seats(self) -> frozenset[str]:
        """Return `host:pid` of each worker in a seat of another's job; raises DatabaseUnavailable."""
        return Seats(self._database).workers()

    def names(self) -> frozenset[str]:
        """Return `host:pid` of each worker with a lease, which may have died; raises DatabaseUnavailable."""
        held = (jobs.c.state == JobState.RUNNING) & jobs.c.lease_until.is_not(None)
        with self._database.read() as connection:
            return frozenset(name for name in connection.execute(select(jobs.c.worker).where(held)).scalars() if name)
