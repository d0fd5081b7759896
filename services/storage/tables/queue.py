"""Jobs, their events, and what belongs to their acceptance and claims."""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    false,
    func,
    literal,
    text,
)

from contract.jobs import JobState
from services.storage.tables.columns import UtcDateTime, metadata, owning_project_column, project_column

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    owning_project_column(),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("dataset", String(63)),  # the job's subject, for filters
    Column("model", String(63)),
    Column("request_id", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", String(128)),
    Column("lease_until", UtcDateTime),
    Column("run_at", UtcDateTime, nullable=False),
    Column("rung_at", UtcDateTime, key="woken_at", nullable=False),  # when the last wake-up message was queued
    Column("deadline_at", UtcDateTime),
    Column("cancel_requested", Boolean, nullable=False),
    Column("cancel_requested_at", UtcDateTime),
    Column("keep_best", Boolean, nullable=False, server_default=false()),  # end early, with the best model so far
    Column("retried_as", String(36)),  # the copy that a retry has made
    Column("progress", Float, nullable=False),
    Column("progress_message", Text, nullable=False),
    Column("checkpoint", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("output", JSON(none_as_null=True)),  # the object that a batch prediction wrote
    Column("last_event", Integer, nullable=False, server_default="0"),
    Column("parent_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE")),  # set in the row of a part
    Column("part", Integer),
    Column("parts_total", Integer),  # set in the row of a job that has divided
    Column("parts_left", Integer),
    Column("traceparent", String(55)),  # W3C trace context of the request, or of what divided the job into parts
    Column("erased", JSON(none_as_null=True)),  # SHA-256 of the images that were erased while the job used them
    Column("child_of", String(36)),  # the job that has created this one
    Column("number", Integer),  # of a child, among those of its parent
    Column("children", Integer),  # set in the row of a job that has created children: how many
    Column("pipeline", String(63)),  # that has created the job
    Index(None, "parent_id", "part"),
    Index(None, "child_of", "number"),
)


def job_age(table: FromClause) -> ColumnElement[str]:
    """Return what sorts jobs by age; a part has the age of its job."""
    return func.coalesce(table.c.parent_id, table.c.id)


def job_order(table: FromClause) -> tuple[ColumnElement[Any], ...]:
    """Return the order in which the due jobs of a project are claimed."""
    return table.c.priority.desc(), job_age(table), table.c.part, table.c.id


def in_state(table: FromClause, *states: JobState) -> ColumnElement[bool]:
    """Return the condition that a job is in one of these states, with the states in the text of the statement.

    Databases use a partial index only if the statement's text implies the index's condition.
    """
    if len(states) == 1:
        return table.c.state == literal(states[0].value, String, literal_execute=True)
    values = [state.value for state in states]
    return table.c.state.in_(bindparam("states", values, String, expanding=True, literal_execute=True, unique=True))


def _partial(name: str, condition: str, *columns: Any) -> Index:
    return Index(f"ix_jobs_{name}", *columns, postgresql_where=text(condition), sqlite_where=text(condition))


QUEUED, RUNNING, LIVE = "state = 'queued'", "state = 'running'", "state IN ('queued', 'running')"
WHOLE = "parent_id IS NULL"
LISTED = f"{WHOLE} AND child_of IS NULL"

# Only rows that a query needs are in its index, so ended jobs and parts cost claims and lists nothing.
row = jobs.c
_partial("due", QUEUED, row.project, row.kind, *job_order(jobs), row.run_at)
_partial("run_at", QUEUED, row.kind, row.run_at)
_partial("woken_at", QUEUED, row.kind, row.woken_at)
_partial("lease_until", RUNNING, row.lease_until)
_partial("deadline_at", f"{LIVE} AND deadline_at IS NOT NULL", row.deadline_at)
_partial("live_parts", f"{LIVE} AND parent_id IS NOT NULL", row.parent_id)
_partial("live_children", f"{LIVE} AND child_of IS NOT NULL", row.child_of)
_partial("live_names", f"{LIVE} AND {WHOLE}", row.project, row.model, row.kind)
_partial("list", LISTED, row.project, row.id)
_partial("list_state", LISTED, row.project, row.state, row.id)
_partial("list_kind", LISTED, row.project, row.kind, row.state, row.id)
_partial("list_model", LISTED, row.project, row.model, row.state, row.id)
_partial("list_dataset", LISTED, row.project, row.dataset, row.state, row.id)
_partial("finished_at", f"{WHOLE} AND finished_at IS NOT NULL", row.project, row.finished_at)

job_counts = Table(
    "job_counts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    project_column(),
    Column("kind", String(16), nullable=False),
    Column("part", Boolean, nullable=False),
    Column("number", Integer, nullable=False),  # of queued rows; changes and sums, whose total is the count
)

claim_turns = Table(
    "claim_turns",
    metadata,
    Column("pool", String(16), primary_key=True),
    project_column(key=True),
    Column("turn", BigInteger, nullable=False),  # the virtual time of the project's last claim
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("data", JSON, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

leads = Table(  # trainings on several replicas, while an attempt leads them
    "leads",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("fence", Integer, nullable=False),  # the leader's
    Column("endpoint", String(255), nullable=False),  # `host:port` of the leader's store
    Column("run_id", String(96), nullable=False),
    Column("seats", Integer, nullable=False),
)

seats = Table(
    "seats",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("fence", Integer, nullable=False),  # of the leader whose seat it is
    Column("worker", String(128), nullable=False),
    Column("lease_until", UtcDateTime, nullable=False),
    Column("ready", Boolean, nullable=False),  # has the data
    Index(None, "job_id", "fence"),
)

idempotency = Table(
    "idempotency",
    metadata,
    project_column(key=True),  # an instance's admin may use a key in several
    Column("owner", String(8), primary_key=True),  # the API key's id; clients do not share idempotency keys
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Index(None, "created_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Index(None, "job_id"),
    Index(None, "kind"),
)
