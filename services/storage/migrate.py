"""Bring the schema of the database to the newest version, with Alembic."""

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.storage.database import Database, mapped_errors
from services.storage.tables import install_counting

_ALEMBIC = threading.Lock()  # its context is global, so one thread would migrate the database of another


def config(connection: Connection) -> Config:
    """Return Alembic's configuration for one open connection."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.attributes["connection"] = connection
    return alembic


def migrate(database: Database) -> None:
    """Run the missing migrations; raises DatabaseUnavailable."""
    with _ALEMBIC, mapped_errors(), database.engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # SQLite alters a table by copying and dropping it; with foreign keys on, that would delete dependent rows
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        command.upgrade(config(connection), "head")
        install_counting(connection)
        connection.commit()
        connection.invalidate()  # its foreign keys are still off
