"""Claims a job for a worker: one guarded UPDATE, which also increments the fence."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, case, func, or_, select, update

from contract.artifacts import ObjectRef
from contract.jobs import Job, JobState
from services.storage.jobs.events import record_state
from services.storage.jobs.rows import LEASE, Lease, job_of
from services.storage.tables import jobs


@dataclass(frozen=True)
class Claim:
    """A job that a worker has claimed, and the checkpoint of an earlier attempt.

    `keep_best` means that the job should end at once, with the best model that its checkpoint has.
    `part` is the part's spec if only a part was claimed; `parts` are the results of all parts once they are done.
    """

    job: Job
    lease: Lease
    checkpoint: ObjectRef | None = None
    part: dict[str, Any] | None = None
    parts: tuple[dict[str, Any], ...] | None = None
    keep_best: bool = False


def take(connection: Connection, kinds: Collection[str], worker: str, now: datetime) -> Claim | None:
    """Claim the best due job of these kinds, queued or running with an expired lease; None if there is none.

    The best job has the highest priority; among equals it is the oldest. A part has the age of its job.
    """
    abandoned = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)
    due = and_(
        jobs.c.kind.in_(kinds),
        jobs.c.cancel_requested.is_(False),
        or_(jobs.c.deadline_at.is_(None), jobs.c.deadline_at > now),
        or_(
            and_(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now),
            and_(abandoned, jobs.c.failures + 1 < jobs.c.max_attempts),
        ),
    )
    age = func.coalesce(jobs.c.parent_id, jobs.c.id)
    best = select(jobs.c.id).where(due).order_by(jobs.c.priority.desc(), age, jobs.c.part, jobs.c.id).limit(1)
    failures = case((jobs.c.state == JobState.RUNNING, jobs.c.failures + 1), else_=jobs.c.failures)
    claim = (
        update(jobs)
        .where(jobs.c.id == best.with_for_update(skip_locked=True).scalar_subquery(), due)
        .values(
            state=JobState.RUNNING,
            fence=jobs.c.fence + 1,
            failures=failures,
            attempt=failures + 1,
            worker=worker,
            lease_until=now + LEASE,
            started_at=case((jobs.c.started_at.is_(None), now), else_=jobs.c.started_at),
            progress_message="started",
        )
        .returning(jobs)
    )
    row = connection.execute(claim).mappings().one_or_none()
    if row is None:
        return None
    record_state(connection, row, now)
    return _claim(connection, row)


def _claim(connection: Connection, row: RowMapping) -> Claim:
    lease = Lease(row["id"], row["fence"], row["parent_id"])
    checkpoint = ObjectRef.model_validate(row["checkpoint"]) if row["checkpoint"] else None
    if row["parent_id"] is not None:
        parent = connection.execute(select(jobs).where(jobs.c.id == row["parent_id"])).mappings().one()
        return Claim(job_of(parent), lease, checkpoint, part=row["spec"])
    if row["parts_total"] is None:
        return Claim(job_of(row), lease, checkpoint, keep_best=row["keep_best"])
    results = select(jobs.c.result).where(jobs.c.parent_id == row["id"]).order_by(jobs.c.part)
    return Claim(job_of(row), lease, checkpoint, parts=tuple(connection.execute(results).scalars()))
