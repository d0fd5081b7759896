"""The jobs that wait for each pool, and the workers that hold one."""

from datetime import datetime

from sqlalchemy import Connection, and_, func, or_, select

from contract.jobs import JobKind, JobState
from contract.pools import POOL_NAMES, PoolName, Queue
from services.storage.database import Database
from services.storage.tables import jobs


def queues(connection: Connection, now: datetime) -> dict[PoolName, Queue]:
    """By pool: the rows that a replica would take now, those that one has, and the longest wait of the former.

    A part is a row like any other; a job that waits for its parts is held by nobody, and no work.
    """
    waits = and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now, jobs.c.cancel_requested.is_(False))
    runs = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until.is_not(None))
    counts = select(jobs.c.kind, jobs.c.state, func.count(), func.min(jobs.c.run_at)).where(or_(waits, runs))
    found = connection.execute(counts.group_by(jobs.c.kind, jobs.c.state)).all()

    def total(pool: PoolName, state: JobState) -> int:
        return sum(count for kind, its_state, count, _ in found if (JobKind(kind).pool, its_state) == (pool, state))

    def oldest(pool: PoolName) -> float:
        since = [at for kind, state, _, at in found if JobKind(kind).pool == pool and state == JobState.QUEUED]
        return (now - min(since)).total_seconds() if since else 0.0

    return {
        pool: Queue(waiting=total(pool, JobState.QUEUED), running=total(pool, JobState.RUNNING), oldest_s=oldest(pool))
        for pool in POOL_NAMES
    }


class Holders:
    """The names under which workers claimed what runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def names(self) -> frozenset[str]:
        """`host:pid` of each worker that has a lease, as far as anybody knows alive; raises DatabaseUnavailable."""
        held = (jobs.c.state == JobState.RUNNING) & jobs.c.lease_until.is_not(None)
        with self._database.read() as connection:
            return frozenset(name for name in connection.execute(select(jobs.c.worker).where(held)).scalars() if name)
