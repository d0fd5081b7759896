"""The statements of a claim: the first due job of each project, and the UPDATE that claims one.

They are made once, since building a statement takes longer than running it.
"""

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

from contract.jobs import JobState
from services.storage.tables import UtcDateTime, job_age, job_order, jobs, projects

NOW = bindparam("now", type_=UtcDateTime)


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


def _due(table: FromClause) -> ColumnElement[bool]:
    """Return the condition that a job may be claimed: it is queued, or running with an expired lease."""
    columns = table.c
    abandoned = and_(columns.state == JobState.RUNNING, columns.lease_until < NOW)
    return and_(
        columns.cancel_requested.is_(False),
        or_(columns.deadline_at.is_(None), columns.deadline_at > NOW),
        or_(
            and_(columns.state == JobState.QUEUED, columns.run_at <= NOW),
            and_(abandoned, columns.failures + 1 < columns.max_attempts),
        ),
    )


@lru_cache
def first_jobs(kinds: tuple[str, ...]) -> "CompoundSelect[Any]":
    """Return the query of the first queued job of each kind for each project, and of all abandoned jobs.

    Each row has the columns of FirstJob. Its time grows with the number of projects, not with that of jobs, because
    the index `ix_jobs_claims` has the jobs in this order.
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
    same_project, running = jobs.c.project == projects.c.name, jobs.c.state == JobState.RUNNING
    abandoned = select(*columns).select_from(projects).join(jobs, same_project)
    return union_all(*queries, abandoned.where(running, jobs.c.lease_until < NOW, jobs.c.kind.in_(kinds), _due(jobs)))


def _first_queued(kind: str) -> ColumnElement[str]:
    job = jobs.alias("candidate")
    same = (job.c.project == projects.c.name, job.c.state == JobState.QUEUED, job.c.kind == kind)
    query = select(job.c.id).where(*same, _due(job)).order_by(*job_order(job)).limit(1)
    return query.correlate(projects).scalar_subquery()


def _claim() -> Any:
    job = jobs.alias("candidate")
    of_project, of_kind, in_state = (bindparam(name, type_=String) for name in ("of_project", "of_kind", "in_state"))
    first = (
        select(job.c.id)
        .where(job.c.project == of_project, job.c.state == in_state, job.c.kind == of_kind, _due(job))
        .order_by(*job_order(job))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    failures = case((jobs.c.state == JobState.RUNNING, jobs.c.failures + 1), else_=jobs.c.failures)
    return (
        update(jobs)
        .where(jobs.c.id == first.scalar_subquery(), _due(jobs))
        .values(
            state=JobState.RUNNING,
            fence=jobs.c.fence + 1,
            failures=failures,
            attempt=failures + 1,
            worker=bindparam("claimant", type_=String),
            lease_until=bindparam("until", type_=UtcDateTime),
            started_at=func.coalesce(jobs.c.started_at, NOW),
            progress_message="started",
        )
        .returning(jobs)
    )


CLAIM = _claim()
"""Claims the first due job of a project, kind and state.

Its parameters are `of_project`, `of_kind`, `in_state`, `now`, `claimant` and `until`, the end of the lease.
"""
