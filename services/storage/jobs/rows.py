"""Rows of the jobs table: the public view, the columns of a new row, and UPDATEs guarded by the lease."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import uuid_utils
from sqlalchemy import Connection, RowMapping, Select, Update, insert, select, update

from contract.errors import LeaseLost
from contract.jobs import Job, JobError, JobState, Progress
from services.storage.tables import jobs, outbox

LEASE = timedelta(seconds=60)


def job_of(row: RowMapping) -> Job:
    """Return the public view of a row."""
    error = JobError(code=row["error_code"], message=row["error_message"]) if row["error_code"] else None
    return Job(
        id=row["id"],
        project=row["project"],
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
        parent=row["child_of"],
        pipeline=row["pipeline"],
    )


def shown(row: RowMapping) -> Job:
    """Return the view of a row for clients: the result of a child without references to objects, which its parent uses.

    The objects are deleted when the parent has ended.
    """
    job = job_of(row)
    if job.parent is None or job.result is None:
        return job
    result = {name: value for name, value in job.result.items() if not (isinstance(value, dict) and "bucket" in value)}
    return job.model_copy(update={"result": result})


def fresh(now: datetime) -> dict[str, Any]:
    """Return the columns that are the same in every new row."""
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
    """The right to change one row until it is claimed under a higher fence.

    `parent_id` is set for a part, `child_of` for a child.
    """

    job_id: str
    fence: int
    parent_id: str | None = None
    child_of: str | None = None

    @property
    def root(self) -> str:
        """The id of the job that clients see: the parent of a part, otherwise the job itself."""
        return self.parent_id or self.job_id


def held(lease: Lease) -> Update:
    """Return an UPDATE that changes the row only while the lease is valid."""
    return update(jobs).where(jobs.c.id == lease.job_id, jobs.c.state == JobState.RUNNING, jobs.c.fence == lease.fence)


def change(connection: Connection, statement: Update) -> RowMapping:
    """Execute a guarded UPDATE and return the changed row; raises LeaseLost if there is none."""
    row = connection.execute(statement.returning(jobs)).mappings().one_or_none()
    if row is None:
        raise LeaseLost("the job belongs to another attempt now")
    return row


def id_at(moment: datetime) -> str:
    """Return a text between the ids of the jobs created before and after a moment; ids are UUIDs of version 7."""
    milliseconds = f"{int(moment.timestamp() * 1000):012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}"


def newest(connection: Connection, query: "Select[Any]", limit: int, states: Collection[str] = ()) -> list[RowMapping]:
    """Return the newest rows of a query, newest first; with `states`, only jobs in one of these.

    Each state is read by itself, in the order of an index. Reading several at once, databases sort all of their jobs.
    """
    ordered = query.order_by(jobs.c.id.desc()).limit(limit)
    queries = [ordered.where(jobs.c.state == state) for state in states] or [ordered]
    rows = [row for each_state in queries for row in connection.execute(each_state).mappings()]
    return sorted(rows, key=lambda row: str(row["id"]), reverse=True)[:limit]


def ended(state: JobState, now: datetime) -> dict[str, Any]:
    """Return the columns to set when a job reaches a terminal state."""
    return {"state": state, "finished_at": now, "lease_until": None}


def lock_root(connection: Connection, lease: Lease) -> None:
    """Lock the parent's row before the part's; the common order prevents deadlocks."""
    connection.execute(select(jobs.c.id).where(jobs.c.id == lease.root).with_for_update())


def lock_parent(connection: Connection, lease: Lease) -> None:
    """Lock the row of a child's parent before that of the child, which is about to end; the order is the same."""
    if lease.child_of is not None:
        connection.execute(select(jobs.c.id).where(jobs.c.id == lease.child_of).with_for_update())


def wake_parent(connection: Connection, job_id: str, now: datetime) -> None:
    """Make a job that waits for its children due; does nothing if it runs, is due already, or has ended."""
    waits = (jobs.c.state == JobState.RUNNING) & jobs.c.lease_until.is_(None) & jobs.c.children.is_not(None)
    due = {"state": JobState.QUEUED, "run_at": now, "woken_at": now}
    query = update(jobs).where(jobs.c.id == job_id, waits).values(due).returning(jobs.c.kind)
    if (kind := connection.execute(query).scalar_one_or_none()) is not None:
        connection.execute(insert(outbox).values(job_id=job_id, kind=kind))
