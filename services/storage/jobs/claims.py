"""Claims a job for a worker: one guarded UPDATE, which also increments the fence.

Before it, one query finds the first due job of each project, and `fairness` chooses the project.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from contract.artifacts import ObjectRef
from contract.jobs import Job, JobKind, JobState
from contract.tracing import TraceContext
from services.storage.inserts import insert_for
from services.storage.jobs.due import CLAIM, FirstJob, first_jobs
from services.storage.jobs.events import record_numbered_state
from services.storage.jobs.fairness import Choice, Standing, choose
from services.storage.jobs.rows import LEASE, Lease, job_of
from services.storage.metrics import TAKEN_OVER
from services.storage.tables import claim_turns, in_state, jobs


@dataclass(frozen=True)
class Claim:
    """A job that a worker has claimed, and the checkpoint of an earlier attempt.

    `keep_best` means that the job should end at once, with the best model that its checkpoint has.
    `part` is the part's spec if only a part was claimed; `parts` are the results of all parts once they are done.
    `request_id` is that of the request that the job came from. `cause` is the traced request, or the attempt that has
    divided the job into parts.
    """

    job: Job
    lease: Lease
    checkpoint: ObjectRef | None = None
    part: dict[str, Any] | None = None
    parts: tuple[dict[str, Any], ...] | None = None
    keep_best: bool = False
    request_id: str | None = None
    cause: TraceContext | None = None


def take(connection: Connection, kinds: Collection[str], worker: str, now: datetime) -> Claim | None:
    """Claim a due job of these kinds, queued or running with an expired lease; None if there is none.

    `fairness` chooses the project. Of its jobs, that with the highest priority is claimed; among equals the oldest.
    A part has the age of its job.
    """
    names = tuple(sorted(kinds))
    candidates = {FirstJob(*row) for row in connection.execute(first_jobs(names), {"now": now})}
    while candidates:
        choice = _choose(connection, names, candidates, now)
        first = min((job for job in candidates if job.project == choice.project), key=lambda job: job.rank)
        values: dict[str, Any] = {"of_project": first.project, "of_kind": first.kind}
        values |= {"claimant": worker, "now": now, "until": now + LEASE}
        row = connection.execute(CLAIM[JobState(first.state)], values).mappings().one_or_none()
        if row is not None:
            record_numbered_state(connection, row, now)
            if first.state == JobState.RUNNING:
                TAKEN_OVER.labels(first.kind).inc()
            if choice.turn is not None:
                _note_turn(connection, JobKind(row["kind"]).pool, choice)
            return _claim(connection, row)
        candidates.remove(first)  # other workers have taken all jobs of this project, kind and state
    return None


def _choose(connection: Connection, kinds: tuple[str, ...], candidates: set[FirstJob], now: datetime) -> Choice:
    """Return the project whose job is claimed; if only one has due jobs, the claim does not count as a turn."""
    firsts: dict[str, FirstJob] = {}
    for job in sorted(candidates, key=lambda job: job.rank):
        firsts.setdefault(job.project, job)
    if len(firsts) == 1:
        (project,) = firsts
        return Choice(project, turn=None)
    pool = JobKind(kinds[0]).pool
    if connection.dialect.name == "postgresql":
        # one after the other, as on SQLite; workers that claim at the same time would all choose the same project
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"claims of {pool}"))))
    held = in_state(jobs, JobState.RUNNING) & (jobs.c.lease_until >= now) & jobs.c.kind.in_(kinds)
    counts = select(jobs.c.project, func.count().label("leases")).where(held).group_by(jobs.c.project)
    running = {row.project: row.leases for row in connection.execute(counts)}
    query = select(claim_turns.c.project, claim_turns.c.turn).where(claim_turns.c.pool == pool)
    turns = {row.project: row.turn for row in connection.execute(query)}
    standings = [
        Standing(project, job.weight, running.get(project, 0), turns.get(project), job.age)
        for project, job in firsts.items()
    ]
    return choose(standings, max(turns.values(), default=0))


def _note_turn(connection: Connection, pool: str, choice: Choice) -> None:
    new = insert_for(connection, claim_turns).values(pool=pool, project=choice.project, turn=choice.turn)
    same = ["pool", "project"]
    connection.execute(new.on_conflict_do_update(index_elements=same, set_={"turn": new.excluded.turn}))


def _claim(connection: Connection, row: RowMapping) -> Claim:
    lease = Lease(row["id"], row["fence"], row["parent_id"], row["child_of"])
    checkpoint = ObjectRef.model_validate(row["checkpoint"]) if row["checkpoint"] else None
    origin: dict[str, Any] = {"request_id": row["request_id"], "cause": TraceContext.parse(row["traceparent"])}
    if row["parent_id"] is not None:
        parent = connection.execute(select(jobs).where(jobs.c.id == row["parent_id"])).mappings().one()
        return Claim(job_of(parent), lease, checkpoint, part=row["spec"], **origin)
    if row["parts_total"] is None:
        return Claim(job_of(row), lease, checkpoint, keep_best=row["keep_best"], **origin)
    results = select(jobs.c.result).where(jobs.c.parent_id == row["id"]).order_by(jobs.c.part)
    return Claim(job_of(row), lease, checkpoint, parts=tuple(connection.execute(results).scalars()), **origin)
