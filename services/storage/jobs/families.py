"""Parents and their parts: what the end of one means for the others."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, update

from contract.jobs import LIVE, JobState
from services.storage.jobs.events import add_state
from services.storage.jobs.guards import ended
from services.storage.tables import jobs


def fail_parent(connection: Connection, part: RowMapping) -> None:
    """A part has failed for good: so has its job, for the same reason, and the other parts stop."""
    reason = {"error_code": part["error_code"], "error_message": f"part {part['part'] + 1}: {part['error_message']}"}
    failed = (
        update(jobs)
        .where(jobs.c.id == part["parent_id"], jobs.c.state == JobState.RUNNING)
        .values(ended(JobState.FAILED, part["finished_at"]) | reason)
    )
    parent = connection.execute(failed.returning(jobs)).mappings().one_or_none()
    if parent is not None:
        add_state(connection, parent)
        cancel_parts(connection, parent["id"], part["finished_at"])


def cancel_parts(connection: Connection, parent_id: str, now: datetime) -> None:
    """Stop the parts of a job that has ended: the waiting ones at once, the running ones at their next renewal."""
    mine = jobs.c.parent_id == parent_id
    waiting = update(jobs).where(mine, jobs.c.state == JobState.QUEUED).values(ended(JobState.CANCELLED, now))
    connection.execute(waiting)
    asked = {"cancel_requested": True, "cancel_requested_at": now}
    connection.execute(update(jobs).where(mine, jobs.c.state.in_(LIVE)).values(asked))
