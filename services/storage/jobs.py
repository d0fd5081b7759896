"""Jobs as clients see them: accept, read, list, cancel."""

from dataclasses import dataclass
from datetime import timedelta

import uuid_utils
from sqlalchemy import Connection, insert, select, update

from contract.base import Frozen
from contract.errors import Conflict, NotFound
from contract.jobs import Job, JobKind, JobRequest, JobState
from services.storage.rows import job_of, subject_of
from services.storage.session import Database
from services.storage.tables import jobs, outbox

MAX_ATTEMPTS = 3


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; None means any."""

    kind: JobKind | None = None
    state: JobState | None = None
    model: str | None = None
    dataset: str | None = None


class JobPage(Frozen):
    """Jobs, newest first; `next` is the cursor of the page after."""

    items: tuple[Job, ...]
    next: str | None


class Jobs:
    """The clients' side of the jobs table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, request: JobRequest, request_id: str | None = None) -> Job:
        """Accept a job: its row and its outbox entry in one transaction, and nothing else."""
        now = self._database.now()
        deadline = now + timedelta(seconds=request.deadline_s) if request.deadline_s else None
        values = {
            "id": str(uuid_utils.uuid7()),
            "kind": request.kind,
            "state": JobState.QUEUED,
            "spec": request.spec.model_dump(mode="json"),
            "priority": request.priority,
            "request_id": request_id,
            "attempt": 0,
            "failures": 0,
            "max_attempts": MAX_ATTEMPTS,
            "fence": 0,
            "run_at": now,
            "rung_at": now,
            "deadline_at": deadline,
            "cancel_requested": False,
            "progress": 0.0,
            "progress_message": "waiting for a worker",
            "created_at": now,
        }
        with self._database.write() as connection:
            row = connection.execute(insert(jobs).values(values | subject_of(request.spec)).returning(jobs)).mappings()
            job = job_of(row.one())
            connection.execute(insert(outbox).values(job_id=job.id, kind=job.kind))
        return job

    def get(self, job_id: str) -> Job:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _get(connection, job_id)

    def list(self, where: JobFilter, limit: int, cursor: str | None = None) -> JobPage:
        """A page of at most `limit` jobs, newest first, after `cursor`."""
        query = select(jobs).order_by(jobs.c.id.desc()).limit(limit + 1)
        for column, value in vars(where).items():
            if value is not None:
                query = query.where(jobs.c[column] == value)
        if cursor is not None:
            query = query.where(jobs.c.id < cursor)
        with self._database.read() as connection:
            found = [job_of(row) for row in connection.execute(query).mappings()]
        return JobPage(items=tuple(found[:limit]), next=found[limit - 1].id if len(found) > limit else None)

    def cancel(self, job_id: str) -> Job:
        """Cancel a queued job at once, ask a running one's worker to; raises NotFound, Conflict when it has ended."""
        now = self._database.now()
        with self._database.write() as connection:
            _get(connection, job_id, lock=True)  # or a job given back between the two updates would escape both
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.QUEUED)
                .values(state=JobState.CANCELLED, finished_at=now, cancel_requested=True)
            )
            connection.execute(
                update(jobs)
                .where(jobs.c.id == job_id, jobs.c.state == JobState.RUNNING)
                .values(cancel_requested=True, progress_message="cancelling")
            )
            job = _get(connection, job_id)
        if job.state.terminal and job.state != JobState.CANCELLED:
            raise Conflict(f"the job has already {job.state}")
        return job


def _get(connection: Connection, job_id: str, lock: bool = False) -> Job:
    query = select(jobs).where(jobs.c.id == job_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise NotFound("there is no such job")
    return job_of(row)
