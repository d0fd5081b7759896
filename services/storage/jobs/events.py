"""Events of jobs: written in the transaction of the change they report, numbered without gaps within a job."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from contract.jobs import LIVE, EventDraft, EventKind, JobEvent, JobState
from services.storage.database import Database
from services.storage.jobs.rows import ended, wake_parent
from services.storage.references import Owner, drop_references
from services.storage.tables import job_events, jobs

_INSERT = insert(job_events)


def add_events(connection: Connection, job_id: str, drafts: Sequence[EventDraft], now: datetime) -> None:
    """Number the drafts and write them; a new progress event replaces the previous one, so a long job stays small."""
    if not drafts:
        return
    last = connection.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(last_event=jobs.c.last_event + len(drafts))
        .returning(jobs.c.last_event)
    ).scalar_one()
    if any(draft.kind == EventKind.PROGRESS for draft in drafts):
        stale = (job_events.c.job_id == job_id) & (job_events.c.kind == EventKind.PROGRESS)
        connection.execute(delete(job_events).where(stale))
    first = last - len(drafts) + 1
    rows = [
        {"job_id": job_id, "id": number, "kind": draft.kind, "data": draft.data, "at": now}
        for number, draft in enumerate(drafts, first)
    ]
    connection.execute(_INSERT, rows)


def record_state(connection: Connection, row: RowMapping, now: datetime) -> None:
    """Write the event of the row's new state; if the job has ended, drop its references to checkpoints and parts.

    The end of a child wakes its parent, and that of a parent stops its children. A part has no
    events, and a job with children none until its end.
    """
    if JobState(row["state"]).terminal:
        drop_references(connection, Owner.JOB_CHECKPOINT, row["id"])
        if row["parts_total"] is not None or row["children"] is not None:
            drop_references(connection, Owner.JOB_PARTS, row["id"])
        if row["child_of"] is not None:
            wake_parent(connection, row["child_of"], now)
        if row["children"] is not None:
            stop_children(connection, row["id"], now)
    waits = row["children"] is not None and row["state"] in LIVE  # it will run again and again
    if row["parent_id"] is not None or waits:
        return
    add_events(connection, row["id"], [EventDraft(kind=EventKind.STATE, data=_state(row))], now)


def record_numbered_state(connection: Connection, row: RowMapping, now: datetime) -> None:
    """Write the event of a live job's state with the number `last_event`, which the row's statement has set.

    One statement less than `record_state`, and one version less of the row. Like there, a part and a job with children
    have no such events.
    """
    if row["parent_id"] is None and row["children"] is None:
        number, data = row["last_event"], _state(row)
        event = {"job_id": row["id"], "id": number, "kind": EventKind.STATE, "data": data, "at": now}
        connection.execute(_INSERT, event)


def _state(row: RowMapping) -> dict[str, Any]:
    data = {"state": row["state"], "attempt": row["attempt"]}
    if row["error_code"]:
        data["error"] = {"code": row["error_code"], "message": row["error_message"]}
    return data


def stop_children(connection: Connection, job_id: str, now: datetime) -> None:
    """Cancel the children of a job: those that no worker runs at once, the others at their next renewal."""
    live = (jobs.c.child_of == job_id) & jobs.c.state.in_(LIVE)
    at_once = update(jobs).where(live, jobs.c.lease_until.is_(None)).values(ended(JobState.CANCELLED, now))
    for row in connection.execute(at_once.returning(jobs)).mappings().all():
        record_state(connection, row, now)
    request = {"cancel_requested": True, "cancel_requested_at": func.coalesce(jobs.c.cancel_requested_at, now)}
    connection.execute(update(jobs).where(live).values(request))


class Events:
    """Reads the events of a project's jobs."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def after(self, job_id: str, last: int, limit: int = 200) -> tuple[JobEvent, ...]:
        """Return at most `limit` events of a job after number `last`, in order."""
        query = (
            select(job_events)
            .join(jobs, (jobs.c.id == job_events.c.job_id) & (jobs.c.project == self._project))
            .where(job_events.c.job_id == job_id, job_events.c.id > last)
            .order_by(job_events.c.id)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).mappings()
            return tuple(JobEvent.model_validate({f: row[f] for f in JobEvent.model_fields}) for row in rows)

    def latest(self, job_ids: Sequence[str]) -> dict[str, int]:
        """Return the number of each job's last event, which grows with every change of its state or progress."""
        query = select(jobs.c.id, jobs.c.last_event).where(jobs.c.project == self._project, jobs.c.id.in_(job_ids))
        with self._database.read() as connection:
            return {row.id: row.last_event for row in connection.execute(query)}
