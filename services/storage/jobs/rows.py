"""A job's row: the public view of it, the columns it starts with, and the guarded UPDATE that changes it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import uuid_utils
from sqlalchemy import Connection, RowMapping, Update, select, update

from contract.errors import LeaseLost
from contract.jobs import Job, JobError, JobState, Progress
from services.storage.tables import jobs

LEASE = timedelta(seconds=60)


def job_of(row: RowMapping) -> Job:
    """The public view of a job's row."""
    error = JobError(code=row["error_code"], message=row["error_message"]) if row["error_code"] else None
    return Job(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        spec=row["spec"],
        progress=Progress(fraction=row["progress"], message=row["progress_message"]),
        priority=row["priority"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        result=row["result"],
        error=error,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        deadline_at=row["deadline_at"],
    )


def fresh(now: datetime) -> dict[str, Any]:
    """The columns that every new row begins with."""
    return {
        "id": str(uuid_utils.uuid7()),
        "state": JobState.QUEUED,
        "attempt": 0,
        "failures": 0,
        "fence": 0,
        "run_at": now,
        "woken_at": now,
        "cancel_requested": False,
        "progress": 0.0,
        "progress_message": "",
        "created_at": now,
    }


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
