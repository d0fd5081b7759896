"""Projects, API keys, sessions and the audit log."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    event,
    insert,
)

from contract.access import DEFAULT_PROJECT
from services.storage.tables.columns import UtcDateTime, metadata, owning_project_column, project_column

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


api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(8), primary_key=True),
    owning_project_column(),
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
    project_column(),
    Column("actor", String(16), nullable=False),  # the API key's id; the key may be gone
    Column("actor_name", String(63), nullable=False),
    Column("action", String(16), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("detail", String(255), nullable=False),
    Column("request_id", String(64), nullable=False),
    Index(None, "project", "id"),
)
