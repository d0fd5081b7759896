"""Child jobs: a running job creates them as results come in, and waits without a replica until one ends.

A child is a job of its own: claimed, fenced, charged, cancelled and repaired by the same UPDATEs, with events and
checkpoints. It counts as one of its project's jobs, and has the age of its parent.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from contract.division import NewChild, Waiting
from contract.errors import Cancelled
from contract.jobs import LIVE, EventDraft, EventKind, Job, JobKind, JobState, Progress
from contract.projects import Quotas
from contract.tracing import current_traceparent
from services.storage.database import Database
from services.storage.jobs.events import add_events, record_numbered_state, record_state
from services.storage.jobs.rows import Lease, change, ended, fresh, held, job_of, wake_parent
from services.storage.tables import job_events, jobs, outbox, projects

INHERITED = ("project", "priority", "dataset", "model", "request_id", "max_attempts", "deadline_at")


@dataclass(frozen=True)
class ChildJob:
    """A child, its number among those of its parent, and the metrics that it has reported, in order."""

    number: int
    job: Job
    metrics: tuple[dict[str, Any], ...]

    @property
    def ended(self) -> bool:
        return self.job.state.terminal


class Children:
    """Create the children of a job, and read them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait(self, lease: Lease, waiting: Waiting) -> None:
        """Create children and let their parent wait until one ends; raises LeaseLost, Cancelled.

        Fewer are created than there are in `waiting` if the project's quota `live_jobs` permits no more, but never none
        if none is open. The parent is due at once if a child has ended, or a person has asked for the best result,
        since the attempt looked.
        """
        now = self._database.now()
        # Increment the fence, since a late renewal would give the waiting job a lease, which would then expire.
        values: dict[str, Any] = {"lease_until": None, "worker": None, "fence": jobs.c.fence + 1}
        values["failures"] = 0  # of earlier attempts; a job with hundreds of children runs as often
        values |= {"progress": waiting.fraction, "progress_message": waiting.message}
        progress = Progress(fraction=waiting.fraction, message=waiting.message)
        with self._database.write() as connection:
            row = change(connection, held(lease).values(values))
            if row["cancel_requested"]:
                raise Cancelled("the job was cancelled")
            add_events(connection, row["id"], [EventDraft(kind=EventKind.PROGRESS, data=progress.model_dump())], now)
            states = _states(connection, row["id"])
            created = _create(connection, row, waiting, states, now)
            total = len(states) + created
            connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(children=total))
            if waiting.stopping:
                _end_early(connection, row["id"], now)
            over = sum(state not in LIVE for state in states.values())
            if over > waiting.seen or (row["keep_best"] and not waiting.stopping):
                wake_parent(connection, row["id"], now)

    def of(self, parent: str) -> tuple[ChildJob, ...]:
        """Return the children of a job in the order of their numbers."""
        query = select(jobs).where(jobs.c.child_of == parent).order_by(jobs.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
            metrics = reported_metrics(connection, parent)
        return tuple(ChildJob(row["number"], job_of(row), tuple(metrics.get(row["id"], ()))) for row in rows)


def reported_metrics(connection: Connection, parent: str) -> dict[str, list[dict[str, Any]]]:
    """Return the metrics that the children of a job have reported, in order, by the child's id."""
    query = (
        select(job_events.c.job_id, job_events.c.data)
        .join(jobs, jobs.c.id == job_events.c.job_id)
        .where(jobs.c.child_of == parent, job_events.c.kind == EventKind.METRICS)
        .order_by(job_events.c.job_id, job_events.c.id)
    )
    metrics: dict[str, list[dict[str, Any]]] = {}
    for row in connection.execute(query):
        metrics.setdefault(row.job_id, []).append(row.data)
    return metrics


def child_id(parent: str, number: int) -> str:
    """Return the id of a child, which is the same for every attempt of its parent.

    It is a UUID of version 7 with the time of the parent plus a millisecond, so that a child is as old as its parent
    among other jobs and due after it, followed by a hash of the parent's id and the number.
    """
    value = uuid.UUID(parent).int
    digest = int.from_bytes(hashlib.sha256(parent.encode()).digest()[:8], "big")
    moment_and_version = ((value >> 80) + 1 << 16 | value >> 64 & 0xFFFF) << 64
    return str(uuid.UUID(int=moment_and_version | 0b10 << 62 | (digest >> 18) << 16 | number))


def _states(connection: Connection, parent: str) -> dict[int, JobState]:
    query = select(jobs.c.number, jobs.c.state).where(jobs.c.child_of == parent)
    return {row.number: JobState(row.state) for row in connection.execute(query)}


def _create(
    connection: Connection, parent: RowMapping, waiting: Waiting, states: dict[int, JobState], now: datetime
) -> int:
    """Create those children that do not exist yet, as far as there is room; return how many."""
    missing = [child for child in waiting.children if child.number not in states]
    if not missing:
        return 0
    open_children = sum(state in LIVE for state in states.values())
    rows = [_row(parent, waiting.kind, child, now) for child in missing[: _room(connection, parent, open_children)]]
    for row in rows:
        created = connection.execute(insert(jobs).values(row).returning(jobs)).mappings().one()
        record_numbered_state(connection, created, now)
        connection.execute(insert(outbox).values(job_id=created["id"], kind=created["kind"]))
    return len(rows)


def _row(parent: RowMapping, kind: str, child: NewChild, now: datetime) -> dict[str, Any]:
    own = {
        "id": child_id(parent["id"], child.number),
        "kind": JobKind(kind),
        "child_of": parent["id"],
        "number": child.number,
        "spec": child.spec,
        "progress_message": "waiting for a worker",
        "last_event": 1,
        "traceparent": current_traceparent() or parent["traceparent"],
    }
    return fresh(now) | {name: parent[name] for name in INHERITED} | own


def _room(connection: Connection, parent: RowMapping, open_children: int) -> int | None:
    """Return how many more jobs the project may have, at least one if no child is open; None without a limit."""
    query = select(projects.c.quotas).where(projects.c.name == parent["project"])
    limit = Quotas.model_validate(connection.execute(query).scalar() or {}).live_jobs
    if limit is None:
        return None
    live = select(func.count()).where(
        jobs.c.project == parent["project"], jobs.c.state.in_(LIVE), jobs.c.parent_id.is_(None)
    )
    return max(limit - connection.execute(live).scalar_one(), 0 if open_children else 1)


def _end_early(connection: Connection, parent: str, now: datetime) -> None:
    """Let the running children of a job end with their best results, and cancel those that have not started."""
    live = (jobs.c.child_of == parent) & jobs.c.state.in_(LIVE)
    unstarted = live & jobs.c.lease_until.is_(None) & jobs.c.checkpoint.is_(None)
    cancelled = update(jobs).where(unstarted).values(ended(JobState.CANCELLED, now)).returning(jobs)
    for row in connection.execute(cancelled).mappings().all():
        record_state(connection, row, now)
    connection.execute(update(jobs).where(live).values(keep_best=True))
