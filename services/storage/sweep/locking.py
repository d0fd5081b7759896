"""Locks jobs for the reconciler without waiting, so that it cannot be part of a deadlock."""

from collections.abc import Sequence

from sqlalchemy import Connection, Select, select

from services.storage.tables import jobs

BATCH = 500  # jobs a statement; databases limit its parameters


def lock_free(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Lock jobs, their parents, and the parents of these; return those of `ids` for which all of these were free.

    Workers lock a parent before its part or child. The reconciler finds parts and children first, and locks the jobs of
    many families in one transaction, so waiting for a row could be a deadlock. It leaves jobs that another transaction
    is changing to its next pass.
    """
    free: list[str] = []
    for start in range(0, len(ids), BATCH):
        batch = ids[start : start + BATCH]
        above = _above(connection, batch)
        query = _of(list(above)).with_for_update(skip_locked=True).order_by(jobs.c.id)
        busy = above.keys() - {row.id for row in connection.execute(query)}
        free += [job for job in batch if busy.isdisjoint(_family(job, above))]
    return free


def _of(ids: Sequence[str]) -> Select[str, str | None, str | None]:
    return select(jobs.c.id, jobs.c.parent_id, jobs.c.child_of).where(jobs.c.id.in_(ids))


def _above(connection: Connection, ids: Sequence[str]) -> dict[str, set[str]]:
    """Return the parents of these jobs, and those of the parents, by job."""
    above: dict[str, set[str]] = {}
    missing = set(ids)
    while missing:
        above |= {job: set() for job in missing}  # also of those that were deleted
        for row in connection.execute(_of(sorted(missing))):
            above[row.id] = {parent for parent in (row.parent_id, row.child_of) if parent is not None}
        missing = set().union(*above.values()) - above.keys()
    return above


def _family(job: str, above: dict[str, set[str]]) -> set[str]:
    """Return a job and all above it."""
    return {job}.union(*(_family(parent, above) for parent in above[job]))
