"""References to objects, and the bytes that they use."""

from sqlalchemy import BigInteger, Column, Index, String, Table

from services.storage.tables.columns import UtcDateTime, metadata, project_column

object_references = Table(
    "object_references",
    metadata,
    Column("bucket", String(16), primary_key=True),
    Column("key", String(1024), primary_key=True),
    Column("owner_kind", String(32), primary_key=True),
    Column("owner_id", String(191), primary_key=True),
    Index(None, "owner_kind", "owner_id"),
)

storage_usage = Table(
    "storage_usage",
    metadata,
    project_column(key=True),  # that of the objects' keys, which may be gone
    Column("category", String(16), primary_key=True),
    Column("objects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("measured_at", UtcDateTime, nullable=False),  # the same in all rows
)
