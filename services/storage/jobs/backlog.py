"""The only place that bounds the queue of accepted jobs."""

from sqlalchemy import Connection, select

from contract.errors import Overloaded
from contract.jobs import JobState
from services.storage.tables import jobs


def require_room(connection: Connection, most: int) -> None:
    """Raise Overloaded when `most` jobs are queued already, their parts not counted.

    Transactions that run at the same moment do not see each other's jobs on PostgreSQL, so there may be a few more.
    """
    queued = select(jobs.c.state).where(jobs.c.state == JobState.QUEUED)
    whole = queued.where(jobs.c.parent_id.is_(None))
    # An index alone answers the first, which counts parts too; only a full queue has the second one asked.
    if all(connection.execute(query.limit(1).offset(most - 1)).first() for query in (queued, whole)):
        raise Overloaded(f"{most} jobs are waiting to run, and no more can wait; try again when some of them have run")
