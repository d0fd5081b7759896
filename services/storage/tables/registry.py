"""Models, backbones and aliases, and what model versions have answered."""

from sqlalchemy import JSON, Column, Date, ForeignKey, ForeignKeyConstraint, Index, Integer, String, Table, Text

from services.storage.tables.columns import UtcDateTime, metadata, project_column

models = Table(
    "models",
    metadata,
    project_column(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

model_versions = Table(
    "model_versions",
    metadata,
    project_column(key=True),
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
    project_column(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

backbone_versions = Table(
    "backbone_versions",
    metadata,
    project_column(key=True),
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
    project_column(key=True),
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
    project_column(key=True),
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

drift_counts = Table(
    "drift_counts",
    metadata,
    project_column(key=True),
    Column("model", String(63), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("day", Date, primary_key=True),  # in UTC
    Column("counts", JSON, nullable=False),
    ForeignKeyConstraint(
        ["project", "model", "version"],
        ["model_versions.project", "model_versions.name", "model_versions.version"],
        ondelete="CASCADE",
    ),
    Index(None, "project", "day"),
)
