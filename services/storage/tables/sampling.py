"""The sampling of predictions for the review queue, by alias, and its counters of each day."""

from sqlalchemy import JSON, BigInteger, Column, Date, ForeignKeyConstraint, String, Table

from services.storage.tables.columns import UtcDateTime, metadata, project_column


def _of_alias() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["project", "model", "alias"], ["aliases.project", "aliases.model", "aliases.alias"], ondelete="CASCADE"
    )


review_sampling = Table(
    "review_sampling",
    metadata,
    project_column(key=True),
    Column("model", String(63), primary_key=True),
    Column("alias", String(63), primary_key=True),
    Column("settings", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    _of_alias(),
)

sampling_counts = Table(
    "sampling_counts",
    metadata,
    project_column(key=True),
    Column("model", String(63), primary_key=True),
    Column("alias", String(63), primary_key=True),
    Column("day", Date, primary_key=True),  # UTC
    Column("counter", String(16), primary_key=True),  # a source, `seen` or `disagreed`
    Column("label", String(128), primary_key=True),  # the class that the model chose, "" for all
    Column("value", BigInteger, nullable=False),
    _of_alias(),
)
