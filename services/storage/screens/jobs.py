"""The jobs of a project as the console lists them, and everything about one of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, Select, func, select

from contract.base import Frozen
from contract.errors import Invalid, NotFound, Refused, TooLarge, UnsupportedMedia
from contract.jobs import LIVE, EventKind, JobEvent, JobState
from services.storage.database import Database
from services.storage.jobs.rows import id_at, newest
from services.storage.tables import job_events, jobs, usage

MOST_LOGS = 500  # of one job, the newest
MOST_METRICS = 2000
_BAD_INPUT: tuple[type[Refused], ...] = (Invalid, *Invalid.__subclasses__(), TooLarge, UnsupportedMedia)
BAD_INPUT = frozenset(error.code for error in _BAD_INPUT)


class Run(Frozen):
    """When something ran, and what became of it."""

    state: JobState
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def live(self) -> bool:
        return self.state in LIVE

    @property
    def seconds(self) -> float | None:
        """How long it ran, None if it has not ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()


class JobRow(Run):
    """A job without its spec and result; the fields are columns of its row."""

    id: str
    kind: str
    dataset: str | None
    model: str | None
    attempt: int
    max_attempts: int
    cancel_requested: bool
    keep_best: bool
    progress: float
    progress_message: str
    error_code: str | None
    error_message: str | None
    retried_as: str | None
    last_event: int
    created_at: datetime
    parts_total: int | None
    parts_left: int | None

    @property
    def subject(self) -> str:
        """What the job makes or uses."""
        return self.model or self.dataset or ""

    @property
    def retryable(self) -> bool:
        return self.state in {JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED} and self.retried_as is None

    @property
    def has_bad_input(self) -> bool:
        """Whether it failed because of what it was given, so that trying again would fail, too."""
        return self.error_code in BAD_INPUT


_COLUMNS = tuple(JobRow.model_fields)


@dataclass(frozen=True)
class JobQuery:
    """Selects jobs; None matches any. `state` may also be `live`; `name` is a dataset or a model."""

    kind: str | None = None
    state: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class JobDetails:
    """A job, its spec and result, its events, the replica-seconds that it has used, and the job that has created it."""

    row: JobRow
    spec: dict[str, Any]
    result: dict[str, Any] | None
    metrics: tuple[dict[str, Any], ...]
    logs: tuple[JobEvent, ...]
    used_s: float
    parent: str | None = None


class JobScreens:
    """Reads a project's jobs."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def page(self, where: JobQuery, limit: int, cursor: str | None = None) -> tuple[tuple[JobRow, ...], str | None]:
        """Return at most `limit` jobs, newest first, and the cursor of the next page."""
        query, states = self._rows().where(jobs.c.child_of.is_(None)), _states(where)
        if where.kind is not None:
            query = query.where(jobs.c.kind == where.kind)
        if cursor:
            query = query.where(jobs.c.id < cursor)
        queries = [query]
        if where.name is not None:  # each has an index; with OR, all jobs of the name would be read and sorted
            queries = [query.where(column == where.name) for column in (jobs.c.model, jobs.c.dataset)]
        with self._database.read() as connection:
            found = {row["id"]: row for each in queries for row in newest(connection, each, limit + 1, states)}
        rows = [_job(found[job_id]) for job_id in sorted(found, reverse=True)[: limit + 1]]
        return tuple(rows[:limit]), rows[limit - 1].id if len(rows) > limit else None

    def failed_since(self, age: timedelta, limit: int) -> tuple[JobRow, ...]:
        """Return jobs that have failed or expired within `age` and were not retried, newest first.

        Those that were created more than twice that long ago are left out, so that few rows are read.
        """
        since = self._database.now() - age
        own = self._rows().where(
            jobs.c.child_of.is_(None),
            jobs.c.retried_as.is_(None),
            jobs.c.finished_at > since,
            jobs.c.id > id_at(since - age),
        )
        newest = own.order_by(jobs.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            rows = [
                _job(row)
                for state in (JobState.FAILED, JobState.EXPIRED)
                for row in connection.execute(newest.where(jobs.c.state == state)).mappings()
            ]
        return tuple(sorted(rows, key=lambda row: row.id, reverse=True)[:limit])

    def details(self, job_id: str) -> JobDetails:
        """Return everything about one job; raises NotFound."""
        with self._database.read() as connection:
            query = self._rows(jobs.c.spec, jobs.c.result, jobs.c.child_of).where(jobs.c.id == job_id)
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise NotFound("there is no such job")
            events = select(job_events).where(job_events.c.job_id == job_id)
            metrics = events.where(job_events.c.kind == EventKind.METRICS).order_by(job_events.c.id)
            points = tuple(event.data for event in connection.execute(metrics.limit(MOST_METRICS)))
            texts = events.where(job_events.c.kind.in_((EventKind.LOG, EventKind.STATE))).order_by(
                job_events.c.id.desc()
            )
            lines = connection.execute(texts.limit(MOST_LOGS)).mappings().all()
            used = select(func.coalesce(func.sum(usage.c.seconds), 0.0)).where(
                usage.c.project == self._project, usage.c.job == job_id
            )
            seconds = float(connection.execute(used).scalar_one())
        logs = tuple(JobEvent.model_validate({f: line[f] for f in JobEvent.model_fields}) for line in reversed(lines))
        return JobDetails(_job(row), row["spec"], row["result"], points, logs, seconds, row["child_of"])

    def _rows(self, *more: Any) -> Select[Any]:
        columns = (jobs.c[name] for name in _COLUMNS)
        return select(*columns, *more).where(jobs.c.project == self._project, jobs.c.parent_id.is_(None))


def _states(where: JobQuery) -> tuple[str, ...]:
    """Return the states to read one by one; none if an index has the jobs of all states in their order."""
    if where.state is not None:
        return LIVE if where.state == "live" else (where.state,)
    return tuple(JobState) if where != JobQuery() else ()


def _job(row: RowMapping) -> JobRow:
    return JobRow.model_validate({name: row[name] for name in _COLUMNS})
