"""What follows when a job's row takes a new state, in the same transaction."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping

from contract.events import EventDraft, EventKind
from contract.jobs import JobState
from services.storage.jobs.events import add_events
from services.storage.references import Owner, drop_references


def record_state(connection: Connection, row: RowMapping, now: datetime) -> None:
    """Write the event of the row's new state, and drop the references that a live job needs and an ended one does not.

    A part has no events.
    """
    if JobState(row["state"]).terminal:
        drop_references(connection, Owner.JOB_CHECKPOINT, row["id"])
        if row["parts_total"] is not None:
            drop_references(connection, Owner.JOB_PARTS, row["id"])
    if row["parent_id"] is not None:
        return
    data = {"state": row["state"], "attempt": row["attempt"]}
    if row["error_code"]:
        data["error"] = {"code": row["error_code"], "message": row["error_message"]}
    add_events(connection, row["id"], [EventDraft(kind=EventKind.STATE, data=data)], now)
