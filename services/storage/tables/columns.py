"""What the tables share: the metadata, a type for times, and the column of the project."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, DateTime, Dialect, ForeignKey, MetaData, String, TypeDecorator

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


def project_column(*references: ForeignKey, key: bool = False) -> "Column[str]":
    """Return the column of the project that owns a row; rows of earlier releases belong to the default project."""
    return Column("project", String(63), *references, primary_key=key, nullable=False, server_default=DEFAULT_PROJECT)


def owning_project_column() -> "Column[str]":
    """Return the same column, for the rows from which all others of a project come; a project with one cannot go."""
    return project_column(ForeignKey("projects.name"))
