"""Jobs as clients see them: accept, read, list, cancel, retry."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from contract.artifacts import ObjectRef
from contract.audit import AuditAction
from contract.base import Frozen
from contract.errors import Conflict, Invalid, NotFound, Overloaded
from contract.jobs import LIVE, Job, JobKind, JobRequest, JobState
from contract.kinds.kind import KindRequest
from contract.projects import Quotas
from contract.tracing import current_traceparent
from services.storage.access.audit import Actor, record
from services.storage.access.quotas import admit_job, check_job
from services.storage.catalog.names import require_own_name
from services.storage.catalog.needed import require_needed
from services.storage.catalog.upload_uses import register_uses, release_uploads, version_of
from services.storage.database import Database
from services.storage.jobs.counts import queued_jobs
from services.storage.jobs.events import record_numbered_state, record_state
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.jobs.parts import cancel_parts
from services.storage.jobs.rows import ended, fresh, job_of, newest, shown
from services.storage.references import Owner, drop_references
from services.storage.tables import jobs, outbox

MAX_ATTEMPTS = 3
MAX_INTERNAL_ATTEMPTS = 1000
RETRYABLE = (JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED)
KEEPS_BEST = ("train", "trial")  # the kinds of jobs that can end early with a result


_INSERT, _INSERT_WAKE = insert(jobs).returning(jobs), insert(outbox)  # building statements takes time


@dataclass(frozen=True)
class JobFilter:
    """Selects the jobs to list; None matches any, except that without `parent` children are left out."""

    kind: JobKind | None = None
    state: JobState | None = None
    model: str | None = None
    dataset: str | None = None
    parent: str | None = None


class JobPage(Frozen):
    """Jobs, newest first; `next` is the cursor of the next page."""

    items: tuple[Job, ...]
    next: str | None


class Jobs:
    """The clients' side of a project's jobs.

    `most_queued` limits how many jobs of all projects may wait to run, None means no limit. `quotas` are the project's.
    """

    def __init__(
        self,
        database: Database,
        project: str,
        most_queued: int | None = None,
        actor: Actor | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._database = database
        self._project = project
        self._actor = actor
        self._most_queued = most_queued
        self._quotas = quotas

    def create(self, request: JobRequest, request_id: str | None = None, once: IdempotencyKey | None = None) -> Job:
        """Accept a job: insert its row and its outbox entry in one transaction.

        Raises Overloaded if the queue is full; QuotaExceeded; Conflict if the job would give a model the name of a
        backbone, or a backbone that of a model; Invalid or Conflict if `once` was used before or is in use.
        """
        now = self._database.now()
        values = _columns(request, request_id, now)
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return Job.model_validate(earlier)
            job = self._accept(connection, values, now)
            register_uses(connection, self._project, job.id, request.spec)
            remember(connection, once, job.model_dump(mode="json"), self._database)
        return job

    def accept_internal(self, connection: Connection, request: KindRequest, request_id: str | None) -> Job:
        """Accept a job that the storage process runs, in the transaction of what needs it; it is tried many times."""
        now = self._database.now()
        values = _columns(request, request_id, now) | {"max_attempts": MAX_INTERNAL_ATTEMPTS}
        return self._accept(connection, values, now)

    def accept(self, connection: Connection, request: KindRequest, pipeline: str) -> Job:
        """Accept a job of a pipeline, in the transaction that notes it; raises QuotaExceeded, Conflict."""
        now = self._database.now()
        job = self._accept(connection, _columns(request, None, now) | {"pipeline": pipeline}, now)
        register_uses(connection, self._project, job.id, request.spec)
        return job

    def require_room(self) -> None:
        """Raise Overloaded if the queue is full, QuotaExceeded if a quota of the project permits no more jobs."""
        if self._most_queued is not None:
            with self._database.read() as connection:
                _require_room(connection, self._most_queued)
        if self._quotas is not None:
            with self._database.read() as connection:
                check_job(connection, self._project, self._quotas, self._database.now())

    def retry(self, job_id: str, request_id: str | None = None, once: IdempotencyKey | None = None) -> Job:
        """Accept a copy of a job that has ended without success.

        Raises NotFound, what `create` raises, or Conflict if the job cannot be retried, was retried already, or needs
        something that was deleted since.
        """
        now, traceparent = self._database.now(), current_traceparent()
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return Job.model_validate(earlier)
            row = _row(connection, self._project, job_id, lock=True)
            _require_public(row)
            if (parent := row["child_of"]) is not None:
                raise Conflict(f"the job belongs to job {parent}; retry that one if it did not succeed")
            if row["state"] not in RETRYABLE:
                raise Conflict(f"the job is {row['state']}; only one that has ended without success can be retried")
            if (copy := row["retried_as"]) is not None:
                raise Conflict(f"the job was retried already, as job {copy}; if that one fails too, retry that one")
            copied = ("kind", "spec", "priority", "max_attempts", "dataset", "model")
            own = {"request_id": request_id, "traceparent": traceparent or row["traceparent"]}
            job = self._accept(connection, {name: row[name] for name in copied} | own, now)
            require_needed(connection, self._project, job.parsed_spec())
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(retried_as=job.id))
            register_uses(connection, self._project, job.id, job.parsed_spec())
            remember(connection, once, job.model_dump(mode="json"), self._database)
        return job

    def output(self, job_id: str) -> ObjectRef:
        """Return the reference to the file that a job wrote; raises NotFound, or Conflict while there is none."""
        with self._database.read() as connection:
            row = _row(connection, self._project, job_id)
        return ObjectRef.model_validate(_output(row))

    def delete_output(self, job_id: str) -> None:
        """Delete the file that a job wrote, and keep its result; raises NotFound, or Conflict if there is none."""
        with self._database.write() as connection:
            _output(_row(connection, self._project, job_id, lock=True))
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(output=None))
            drop_references(connection, Owner.JOB_OUTPUT, job_id)
            record(connection, self._actor, AuditAction.DELETE, f"jobs/{job_id}/output", self._database.now())

    def delete(self, job_id: str) -> None:
        """Delete a job that has ended, with its output and events, and with its uploads if nothing else used them.

        Raises NotFound, or Conflict if the job has not ended or a version that it made exists.
        """
        with self._database.write() as connection:
            row = _row(connection, self._project, job_id, lock=True)
            if not JobState(row["state"]).terminal:
                raise Conflict(f"the job is {row['state']}; cancel it first")
            if (parent := row["child_of"]) is not None:
                raise Conflict(f"the job belongs to job {parent}; delete that one, and this one goes with it")
            if (version := version_of(connection, job_id)) is not None:
                raise Conflict(f"the job made the {version}; delete that version first")
            now = self._database.now()
            detail = " ".join(filter(None, (row["kind"], row["model"] or row["dataset"])))
            record(connection, self._actor, AuditAction.DELETE, f"jobs/{job_id}", now, detail)
            release_uploads(connection, self._project, job_id, now, self._actor, for_jobs=True)
            forget_job(connection, job_id)

    def get(self, job_id: str) -> Job:
        """Return a job; raises NotFound."""
        with self._database.read() as connection:
            return shown(_row(connection, self._project, job_id))

    def list(self, where: JobFilter, limit: int, cursor: str | None = None) -> JobPage:
        """Return a page of at most `limit` jobs after `cursor`, newest first."""
        query = select(jobs).where(jobs.c.project == self._project, jobs.c.parent_id.is_(None))
        filters = {jobs.c[name]: value for name, value in vars(where).items() if name != "parent"}
        for column, value in filters.items():
            if value is not None:
                query = query.where(column == value)
        query = query.where(jobs.c.child_of.is_(None) if where.parent is None else jobs.c.child_of == where.parent)
        if cursor is not None:
            query = query.where(jobs.c.id < cursor)
        # the indexes of the other filters have the state first
        by_state = where.state is None and where.parent is None and where != JobFilter()
        with self._database.read() as connection:
            items = [shown(row) for row in newest(connection, query, limit + 1, tuple(JobState) if by_state else ())]
        return JobPage(items=tuple(items[:limit]), next=items[limit - 1].id if len(items) > limit else None)

    def cancel(self, job_id: str, keep_best: bool = False) -> Job:
        """Cancel a job at once if no worker runs it, otherwise request that its worker stops it.

        With `keep_best`, a training that has finished an epoch ends as succeeded, with its best model so far.
        Raises NotFound, Conflict if the job has already ended in another way, or Invalid if `keep_best` does not apply.
        """
        now = self._database.now()
        with self._database.write() as connection:
            detail = "keep the best model" if keep_best else ""
            record(connection, self._actor, AuditAction.CANCEL, f"jobs/{job_id}", now, detail)  # undone by an error
            # lock, or both updates would miss a job released in between; the parent first, as when a child ends
            parent = select(jobs.c.child_of).where(jobs.c.id == job_id).scalar_subquery()
            connection.execute(select(jobs.c.id).where(jobs.c.id == parent).with_for_update())
            row = _row(connection, self._project, job_id, lock=True)
            _require_public(row)
            if keep_best and row["kind"] not in KEEPS_BEST:
                raise Invalid(f"keep_best applies to training jobs, and this is a {row['kind']} job; leave it out")
            if keep_best and _can_keep(row):
                return job_of(_keep_best(connection, row, now))
            same_job, no_lease = jobs.c.id == job_id, jobs.c.lease_until.is_(None)
            at_once = update(jobs).where(same_job, jobs.c.state.in_(LIVE), no_lease).returning(jobs)
            result = connection.execute(at_once.values(ended(JobState.CANCELLED, now) | {"cancel_requested": True}))
            if (cancelled := result.mappings().one_or_none()) is not None:
                record_state(connection, cancelled, now)
                cancel_parts(connection, job_id, now)
                return job_of(cancelled)
            if JobState(row["state"]).terminal and row["state"] != JobState.CANCELLED:
                raise Conflict(f"the job has already {row['state']}")
            values: dict[str, Any] = {"cancel_requested": True, "progress_message": "cancelling"}
            values["cancel_requested_at"] = func.coalesce(jobs.c.cancel_requested_at, now)
            connection.execute(update(jobs).where(same_job, jobs.c.state == JobState.RUNNING).values(values))
            return job_of(_row(connection, self._project, job_id))

    def _accept(self, connection: Connection, values: dict[str, Any], now: datetime) -> Job:
        if self._most_queued is not None:
            _require_room(connection, self._most_queued)
        admit_job(connection, self._project, values["kind"], self._quotas, now)
        require_own_name(connection, self._project, values["kind"], values["model"])
        own = {"project": self._project, "progress_message": "waiting for a worker", "last_event": 1}
        new = fresh(now) | values | own
        row = connection.execute(_INSERT, new).mappings().one()
        if not JobKind(row["kind"]).definition.internal:
            connection.execute(_INSERT_WAKE, {"job_id": row["id"], "kind": row["kind"]})
        record_numbered_state(connection, row, now)
        detail = " ".join(filter(None, (row["kind"], row["model"] or row["dataset"])))
        record(connection, self._actor, AuditAction.CREATE, f"jobs/{row['id']}", now, detail)
        return job_of(row)


def _columns(request: KindRequest, request_id: str | None, now: datetime) -> dict[str, Any]:
    """Return the columns of a new job that its request determines."""
    return {
        "kind": request.kind,
        "spec": request.spec.model_dump(mode="json"),
        "priority": request.priority,
        "request_id": request_id,
        "traceparent": current_traceparent(),
        "max_attempts": MAX_ATTEMPTS,
        "deadline_at": now + timedelta(seconds=request.deadline_s) if request.deadline_s else None,
        **request.spec.subject._asdict(),
    }


def _require_public(row: RowMapping) -> None:
    """Raise Conflict for a job that the storage process runs."""
    if JobKind(row["kind"]).definition.internal:
        raise Conflict(f"a {row['kind']} job belongs to the instance, and can be neither cancelled nor retried")


def _row(connection: Connection, project: str, job_id: str, lock: bool = False) -> RowMapping:
    query = select(jobs).where(jobs.c.id == job_id, jobs.c.project == project, jobs.c.parent_id.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such job")
    return row


def forget_job(connection: Connection, job_id: str) -> None:
    """Delete the row of a job, its parts, children and events, and their references to objects."""
    own = (jobs.c.parent_id == job_id) | (jobs.c.child_of == job_id)
    rows = connection.execute(select(jobs.c.id).where(own)).scalars().all()
    drop_references(connection, Owner.JOB_CHECKPOINT, job_id, *rows)
    drop_references(connection, Owner.JOB_OUTPUT, job_id, *rows)
    drop_references(connection, Owner.JOB_PARTS, job_id)
    connection.execute(delete(jobs).where((jobs.c.id == job_id) | (jobs.c.child_of == job_id)))


def _output(row: RowMapping) -> Any:
    """Return the reference to the file that a job wrote; raises Conflict if there is none."""
    if row["output"] is not None:
        return row["output"]
    if row["state"] == JobState.SUCCEEDED and (row["result"] or {}).get("output"):
        raise Conflict("the output of the job was deleted; submit the job again to have it again")
    raise Conflict(
        f"the job is {row['state']} and has no output; only a batch prediction or an evaluation that has succeeded "
        "has one"
    )


def _can_keep(row: RowMapping) -> bool:
    """Return whether a job may have a model: it runs, or waits to resume from a checkpoint or for its children."""
    if JobState(row["state"]).terminal or row["cancel_requested"]:
        return False
    return any(row[name] is not None for name in ("lease_until", "checkpoint", "children"))


def _keep_best(connection: Connection, row: RowMapping, now: datetime) -> RowMapping:
    """Request that the job ends with its best model; one that waits runs once more to do that, at once."""
    values = {"keep_best": True, "progress_message": "stopping, the best model so far is kept"}
    if row["lease_until"] is None:
        values |= {"state": JobState.QUEUED, "run_at": now, "woken_at": now}
        connection.execute(insert(outbox).values(job_id=row["id"], kind=row["kind"]))
    query = update(jobs).where(jobs.c.id == row["id"]).values(values)
    return connection.execute(query.returning(jobs)).mappings().one()


def _require_room(connection: Connection, most: int) -> None:
    """Raise Overloaded if `most` jobs are queued already; parts do not count.

    On PostgreSQL simultaneous transactions do not see each other's jobs, so the limit may be exceeded by a few.
    """
    if queued_jobs(connection) >= most:
        raise Overloaded(f"{most} jobs are waiting to run, and no more can wait; try again when some of them have run")
