"""The guarded UPDATE: what every change to a job's row goes through."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, Update, select, update

from contract.errors import LeaseLost
from contract.jobs import JobState
from services.storage.tables import jobs

LEASE = timedelta(seconds=60)


@dataclass(frozen=True)
class Lease:
    """The right to change one row, until somebody claims it under a higher fence; the row of a part has a parent."""

    job_id: str
    fence: int
    parent_id: str | None = None

    @property
    def root(self) -> str:
        """The job that people see."""
        return self.parent_id or self.job_id


def held(lease: Lease) -> Update:
    """An UPDATE that changes nothing unless the lease is still the job's."""
    return update(jobs).where(jobs.c.id == lease.job_id, jobs.c.state == JobState.RUNNING, jobs.c.fence == lease.fence)


def change(connection: Connection, statement: Update) -> RowMapping:
    """The row after a guarded UPDATE; raises LeaseLost when it changed none."""
    row = connection.execute(statement.returning(jobs)).mappings().one_or_none()
    if row is None:
        raise LeaseLost("the job belongs to another attempt now")
    return row


def ended(state: JobState, now: datetime) -> dict[str, Any]:
    """The columns of a job that has just reached a terminal state."""
    return {"state": state, "finished_at": now, "lease_until": None}


def lock_root(connection: Connection, lease: Lease) -> None:
    """Take the parent's row before the part's: everybody locks in this order, so nobody waits in a circle."""
    connection.execute(select(jobs.c.id).where(jobs.c.id == lease.root).with_for_update())
