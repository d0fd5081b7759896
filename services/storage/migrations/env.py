"""Alembic's entry point: runs the migrations on the connection that `services.storage.migrate` passes."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from services.storage.tables import UtcDateTime, metadata


def render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    """Write SQLAlchemy's types into migrations instead of our own, which may change."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=render_item,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
