"""The statements of a claim: the first due job of each project, and the UPDATE that claims one.

They are made once, since building a statement takes longer than running it.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    FromClause,
    String,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from contract.jobs import JobState
from services.storage.tables import UtcDateTime, in_state, job_age, job_order, jobs, projects

NOW = bindparam("now", type_=UtcDateTime)


class _Filter(FunctionElement[datetime]):
    """A column by which SQLite only filters: it would search the jobs by it, and sort all that are due."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(_Filter)
def _column(element: _Filter, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Filter, "sqlite")
def _column_without_index(element: _Filter, compiler: SQLCompiler, **options: Any) -> str:
    return f"+{compiler.process(element.clauses, **options)}"


class FirstJob(NamedTuple):
    """The first due job of a project, among those of one kind and state."""

    project: str
    weight: int
    kind: str
    state: str
    priority: int
    age: str
    part: int | None

    @property
    def rank(self) -> tuple[int, str, int]:
        """The highest priority goes first, then the oldest job, then the first part."""
        return -self.priority, self.age, self.part or 0


def _queued(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job is queued and may be claimed."""
    return and_(in_state(table, JobState.QUEUED), _Filter(table.c.run_at) <= NOW, _wanted(table))


def _abandoned(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job runs with an expired lease and may be claimed again."""
    expired = table.c.lease_until < NOW
    return and_(in_state(table, JobState.RUNNING), expired, table.c.failures + 1 < table.c.max_attempts, _wanted(table))


def _wanted(table: FromClause) -> ColumnElement[bool]:
    return and_(table.c.cancel_requested.is_(False), or_(table.c.deadline_at.is_(None), table.c.deadline_at > NOW))


@lru_cache
def first_jobs(kinds: tuple[str, ...]) -> "CompoundSelect[Any]":
    """Return the query of the first queued job of each kind for each project, and of all abandoned jobs.

    Each row has the columns of FirstJob. Its time grows with the number of projects, not with that of jobs, because
    the index `ix_jobs_due` has the queued jobs in this order.
    """
    columns = (
        projects.c.name,
        projects.c.weight,
        jobs.c.kind,
        jobs.c.state,
        jobs.c.priority,
        job_age(jobs),
        jobs.c.part,
    )
    queries = [select(*columns).select_from(projects).join(jobs, jobs.c.id == _first_queued(kind)) for kind in kinds]
    abandoned = select(*columns).select_from(projects).join(jobs, jobs.c.project == projects.c.name)
    return union_all(*queries, abandoned.where(jobs.c.kind.in_(kinds), _abandoned(jobs)))


def _first_queued(kind: str) -> ColumnElement[str]:
    job = jobs.alias("candidate")
    same = (job.c.project == projects.c.name, job.c.kind == kind)
    query = select(job.c.id).where(*same, _queued(job)).order_by(*job_order(job)).limit(1)
    return query.correlate(projects).scalar_subquery()


def _claim(due: Callable[[FromClause], ColumnElement[bool]]) -> Any:
    job = jobs.alias("candidate")
    of_project, of_kind = (bindparam(name, type_=String) for name in ("of_project", "of_kind"))
    first = (
        select(job.c.id)
        .where(job.c.project == of_project, job.c.kind == of_kind, due(job))
        .order_by(*job_order(job))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    failures = case((jobs.c.state == JobState.RUNNING, jobs.c.failures + 1), else_=jobs.c.failures)
    return (
        update(jobs)
        .where(jobs.c.id == first.scalar_subquery(), due(jobs))
        .values(
            state=JobState.RUNNING,
            fence=jobs.c.fence + 1,
            failures=failures,
            attempt=failures + 1,
            worker=bindparam("claimant", type_=String),
            lease_until=bindparam("until", type_=UtcDateTime),
            started_at=func.coalesce(jobs.c.started_at, NOW),
            progress_message="started",
            last_event=jobs.c.last_event
            + case((and_(jobs.c.parent_id.is_(None), jobs.c.children.is_(None)), 1), else_=0),
        )
        .returning(jobs)
    )


CLAIM = {JobState.QUEUED: _claim(_queued), JobState.RUNNING: _claim(_abandoned)}
"""Claims the first due job of a project and kind in a state, and numbers the event of it.

The parameters are `of_project`, `of_kind`, `now`, `claimant` and `until`, the end of the lease.
"""
