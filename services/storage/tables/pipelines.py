"""Pipelines and their runs."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    text,
)

from services.storage.tables.columns import UtcDateTime, metadata, project_column

pipelines = Table(
    "pipelines",
    metadata,
    project_column(key=True),
    Column("name", String(63), primary_key=True),
    Column("request", JSON, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("next_at", UtcDateTime),  # of its cron expression
    Column("created_at", UtcDateTime, nullable=False),
)

RUNNING = text("state = 'running'")

pipeline_runs = Table(
    "pipeline_runs",
    metadata,
    Column("id", String(36), primary_key=True),
    project_column(),
    Column("pipeline", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("step", String(16), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("labels", Integer, nullable=False),
    Column("champion", String(127)),  # pinned references
    Column("dataset", String(127)),
    Column("candidate", String(127)),
    Column("revise_job", String(36)),  # jobs, which may be gone
    Column("train_job", String(36)),
    Column("evaluate_job", String(36)),
    Column("gate", JSON(none_as_null=True)),
    Column("shadow_until", UtcDateTime),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    ForeignKeyConstraint(["project", "pipeline"], ["pipelines.project", "pipelines.name"], ondelete="CASCADE"),
    Index(None, "project", "pipeline", "id"),
    Index(
        "ix_pipeline_runs_one_at_once",
        "project",
        "pipeline",
        unique=True,
        postgresql_where=RUNNING,
        sqlite_where=RUNNING,
    ),
)
