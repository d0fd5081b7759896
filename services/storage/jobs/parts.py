"""Divided jobs: the parent waits for its parts, and the last part to finish queues it again."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, update

from contract.division import Division, PartDone
from contract.errors import Cancelled
from contract.jobs import LIVE, EventDraft, EventKind, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.events import add_events, record_state
from services.storage.jobs.rows import Lease, change, ended, fresh, held, lock_root
from services.storage.references import Owner, add_references, drop_references
from services.storage.tables import jobs, outbox

SHARE = 0.95  # of the parent's progress; the rest is for combining the parts


class Parts:
    """Divide a job, and finish its parts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def divide(self, lease: Lease, division: Division) -> None:
        """Replace the attempt with parts that any replica may claim; raises LeaseLost, Cancelled."""
        now, total = self._database.now(), len(division.parts)
        waiting: dict[str, Any] = {"lease_until": None, "worker": None, "parts_total": total, "parts_left": total}
        # Increment the fence, since a late renewal would give the waiting job a lease, which would then expire.
        waiting |= {"fence": jobs.c.fence + 1, "progress_message": f"working on {total} parts"}
        with self._database.write() as connection:
            row = change(connection, held(lease).values(waiting))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")
            parts = [_part(row, number, spec, now) for number, spec in enumerate(division.parts)]
            connection.execute(insert(jobs), parts)
            connection.execute(insert(outbox), [{"job_id": part["id"], "kind": part["kind"]} for part in parts])
            add_references(connection, Owner.JOB_PARTS, row["id"], division.parts)
            add_events(connection, row["id"], [_progress(row)], now)

    def finish(self, lease: Lease, done: PartDone) -> None:
        """End a part as succeeded; the last one queues its parent again. Raises LeaseLost, Cancelled."""
        now = self._database.now()
        with self._database.write() as connection:
            lock_root(connection, lease)
            values = ended(JobState.SUCCEEDED, now) | {"result": done.result, "progress": 1.0}
            row = change(connection, held(lease).values(values))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")
            record_state(connection, row, now)
            add_references(connection, Owner.JOB_PARTS, lease.root, done.result)
            left = jobs.c.parts_left - 1
            count_down = (
                update(jobs)
                .where(jobs.c.id == lease.root, jobs.c.state == JobState.RUNNING, jobs.c.parts_left > 0)
                .values(parts_left=left, progress=SHARE * (jobs.c.parts_total - left) / jobs.c.parts_total)
            )
            parent = change(connection, count_down)
            add_events(connection, lease.root, [_progress(parent)], now)
            if parent["parts_left"] == 0:
                queued = {"state": JobState.QUEUED, "run_at": now, "woken_at": now}
                queued["progress_message"] = "putting the parts together"
                requeue = update(jobs).where(jobs.c.id == lease.root).values(queued)
                record_state(connection, change(connection, requeue), now)
                connection.execute(insert(outbox).values(job_id=lease.root, kind=parent["kind"]))


def fail_parent(connection: Connection, part: RowMapping) -> None:
    """Fail the job of a part that has failed permanently, with the part's error, and stop its other parts."""
    reason = {"error_code": part["error_code"], "error_message": f"part {part['part'] + 1}: {part['error_message']}"}
    failed = (
        update(jobs)
        .where(jobs.c.id == part["parent_id"], jobs.c.state == JobState.RUNNING)
        .values(ended(JobState.FAILED, part["finished_at"]) | reason)
    )
    parent = connection.execute(failed.returning(jobs)).mappings().one_or_none()
    if parent is not None:
        record_state(connection, parent, part["finished_at"])
        cancel_parts(connection, parent["id"], part["finished_at"])


def cancel_parts(connection: Connection, parent_id: str, now: datetime) -> None:
    """Stop the parts of a job that has ended: queued parts at once, running parts at their next renewal."""
    of_parent = jobs.c.parent_id == parent_id
    queued = update(jobs).where(of_parent, jobs.c.state == JobState.QUEUED).values(ended(JobState.CANCELLED, now))
    stopped = connection.execute(queued.returning(jobs.c.id)).scalars().all()
    drop_references(connection, Owner.JOB_CHECKPOINT, *stopped)
    request = {"cancel_requested": True, "cancel_requested_at": now}
    connection.execute(update(jobs).where(of_parent, jobs.c.state.in_(LIVE)).values(request))


def _progress(parent: RowMapping) -> EventDraft:
    progress = Progress(fraction=parent["progress"], message=parent["progress_message"])
    return EventDraft(kind=EventKind.PROGRESS, data=progress.model_dump())


def _part(parent: RowMapping, number: int, spec: dict[str, Any], now: datetime) -> dict[str, Any]:
    inherited = ("project", "kind", "priority", "dataset", "model", "request_id", "max_attempts", "deadline_at")
    values = {"parent_id": parent["id"], "part": number, "spec": spec}
    return fresh(now) | {name: parent[name] for name in inherited} | values
