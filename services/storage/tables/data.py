"""Uploads, datasets and their features."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
)

from services.storage.tables.columns import UtcDateTime, metadata, owning_project_column, project_column

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(36), primary_key=True),
    owning_project_column(),
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
    project_column(key=True),
    Column("name", String(63), primary_key=True),
    Column("last_version", Integer, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    project_column(key=True),
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
    project_column(key=True),
    Column("dataset", String(63), primary_key=True),
    Column("key", String(63), primary_key=True),
    Column("file", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["project", "dataset"], ["datasets.project", "datasets.name"]),
)
