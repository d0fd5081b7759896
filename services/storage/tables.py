"""The tables of the database."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    FromClause,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    false,
    func,
    insert,
)

from contract.access import DEFAULT_PROJECT


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, even on SQLite, which does not store time zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _project(*references: ForeignKey, key: bool = False) -> "Column[str]":
    """Return the column of the project that owns a row; rows of earlier releases belong to the default project."""
    return Column("project", String(63), *references, primary_key=key, nullable=False, server_default=DEFAULT_PROJECT)


def _owning_project() -> "Column[str]":
    """Return the same column, for the rows from which all others of a project come; a project with one cannot go."""
    return _project(ForeignKey("projects.name"))


projects = Table(
    "projects",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("description", String(255), nullable=False),
    Column("retention", JSON(none_as_null=True)),
    Column("purge_job", String(36)),  # the id of the job that deletes the project, which is invisible meanwhile
    Column("weight", Integer, nullable=False, server_default="1"),
    Column("quotas", JSON(none_as_null=True)),  # without those that have no limit
    Column("created_at", UtcDateTime, nullable=False),
)


@event.listens_for(projects, "after_create")
def _create_default_project(_: object, connection: Connection, **__: object) -> None:
    """Create the default project with the table, where the tables are made without migrations."""
    connection.execute(insert(projects).values(name=DEFAULT_PROJECT, description="", created_at=datetime.now(UTC)))


jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    _owning_project(),
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
    Index(None, "state", "lease_until"),
    Index(None, "parent_id", "part"),
    Index(None, "child_of", "number"),
    Index(None, "project", "id"),
    Index(None, "project", "state", "id"),
    Index(None, "project", "model", "id"),
    Index(None, "project", "dataset", "id"),
)


def job_age(table: FromClause) -> ColumnElement[str]:
    """Return what sorts jobs by age; a part has the age of its job."""
    return func.coalesce(table.c.parent_id, table.c.id)


def job_order(table: FromClause) -> tuple[ColumnElement[Any], ...]:
    """Return the order in which the due jobs of a project are claimed."""
    return table.c.priority.desc(), job_age(table), table.c.part, table.c.id


Index("ix_jobs_claims", jobs.c.project, jobs.c.state, jobs.c.kind, *job_order(jobs))

claim_turns = Table(
    "claim_turns",
    metadata,
    Column("pool", String(16), primary_key=True),
    _project(key=True),
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

idempotency = Table(
    "idempotency",
    metadata,
    _project(key=True),  # an instance's admin may use a key in several
    Column("owner", String(8), primary_key=True),  # the API key's id; clients do not share idempotency keys
    Column("key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("answer", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),
    _owning_project(),
    Column("filename", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("complete", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("file", JSON(none_as_null=True)),  # the object that replaces the one under the upload's key
    Column("multipart", String(1024)),  # the object store's id of the upload that parts were sent to
)

upload_uses = Table(
    "upload_uses",
    metadata,
    Column("upload_id", String(36), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "job_id"),
)

datasets = Table(
    "datasets",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("manifest", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["project", "name"], ["datasets.project", "datasets.name"]),
    Index(None, "job_id"),
)

features = Table(
    "features",
    metadata,
    _project(key=True),
    Column("dataset", String(63), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("file", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["project", "dataset"], ["datasets.project", "datasets.name"]),
)

models = Table(
    "models",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("dataset", String(127)),  # of a model trained here
    Column("manifest", JSON(none_as_null=True)),
    Column("rejected", Text),  # the reason, for a version without a manifest
    Column("provider", String(64)),
    Column("serving", String(8)),  # the variant that a person pinned, or None
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["project", "name"], ["models.project", "models.name"]),
    Index(None, "job_id"),
)

backbones = Table(
    "backbones",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

backbone_versions = Table(
    "backbone_versions",
    metadata,
    _project(key=True),
    Column("name", String(63), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("job_id", String(36), ForeignKey("jobs.id"), nullable=False),
    Column("manifest", JSON(none_as_null=True)),
    Column("rejected", Text),  # the reason, for a version without a manifest
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["project", "name"], ["backbones.project", "backbones.name"]),
    Index(None, "job_id"),
)

aliases = Table(
    "aliases",
    metadata,
    _project(key=True),
    Column("model", String(63), primary_key=True),
    Column("alias", String(63), primary_key=True),
    Column("shadow", Integer),
    Column("updated_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(
        ["project", "model", "shadow"], ["model_versions.project", "model_versions.name", "model_versions.version"]
    ),
)

alias_weights = Table(
    "alias_weights",
    metadata,
    _project(key=True),
    Column("model", String(63), primary_key=True),
    Column("alias", String(63), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("weight", Integer, nullable=False),  # percent of the requests
    ForeignKeyConstraint(
        ["project", "model", "alias"], ["aliases.project", "aliases.model", "aliases.alias"], ondelete="CASCADE"
    ),
    ForeignKeyConstraint(
        ["project", "model", "version"], ["model_versions.project", "model_versions.name", "model_versions.version"]
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    _owning_project(),
    Column("name", String(63), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("role", String(16)),  # names the scopes, if they were not given one by one
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),  # to the minute
    Column("origins", JSON(none_as_null=True)),  # whose pages may use it; null means all
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String(64), primary_key=True),  # of the token in the browser's cookie
    Column("key_id", String(8), ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("once", Boolean, nullable=False),  # a link with which a browser signs in
    Column("project", String(63)),  # the one that an instance's admin has chosen; else it is the key's
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Index(None, "key_id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    _project(),
    Column("actor", String(16), nullable=False),  # the API key's id; the key may be gone
    Column("actor_name", String(63), nullable=False),
    Column("action", String(16), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", String(255), nullable=False),
    Column("request_id", String(64), nullable=False),
    Index(None, "project", "id"),
)

pools = Table(
    "pools",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("mode", String(8), nullable=False),
    Column("policy", JSON, nullable=False),
    Column("desired", Integer, nullable=False),
    Column("created", Integer),  # replicas that can be started; None until an autoscaler reports it
    Column("revision", Integer, nullable=False),  # incremented by every change
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

object_references = Table(
    "object_references",
    metadata,
    Column("bucket", String(16), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("owner_kind", String(32), primary_key=True),
    Column("owner_id", String(191), primary_key=True),
    Index(None, "owner_kind", "owner_id"),
)

pool_changes = Table(
    "pool_changes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("pool", String(16), ForeignKey("pools.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("desired", Integer, nullable=False),
    Column("ready", Integer),  # this and the next two: None if not measured
    Column("waiting", Integer),
    Column("running", Integer),
    Column("reason", Text, nullable=False),
    Index(None, "pool", "id"),
)

pool_limits = Table(
    "pool_limits",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("pool", String(16), ForeignKey("pools.name"), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("most", Integer, nullable=False),  # replicas that the setting permits from then on
)

traffic = Table(
    "traffic",
    metadata,
    Column("pool", String(16), primary_key=True),
    Column("minute", UtcDateTime, primary_key=True),
    Column("requests", BigInteger, nullable=False),  # online ones that all gateways have answered
)

usage = Table(
    "usage",
    metadata,
    Column("day", Date, primary_key=True),  # in UTC
    Column("pool", String(16), primary_key=True),
    Column("purpose", String(8), primary_key=True),
    _project(key=True),
    Column("model", String(63), primary_key=True),  # empty if there is none, like `job`
    Column("job", String(36), primary_key=True),
    Column("gpu", Boolean, primary_key=True),
    Column("seconds", Float, nullable=False),
)

storage_usage = Table(
    "storage_usage",
    metadata,
    _project(key=True),  # that of the objects' keys, which may be gone
    Column("category", String(16), primary_key=True),
    Column("objects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("measured_at", UtcDateTime, nullable=False),  # the same in all rows
)
