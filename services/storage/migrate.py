"""The only place that changes the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.storage.database import Database, mapped_errors


def config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.attributes["connection"] = connection
    return alembic


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; raises DatabaseUnavailable."""
    with mapped_errors(), database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # altering a table copies and drops it, which with foreign keys on would delete what points at it
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        command.upgrade(config(connection), "head")
        connection.commit()
        connection.invalidate()  # its foreign keys are off
