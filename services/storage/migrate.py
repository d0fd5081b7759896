"""The only place that changes the schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from services.storage.session import Database, mapped_errors


def config(connection: Connection) -> Config:
    """Alembic's configuration for one open connection."""
    alembic = Config()
    alembic.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    alembic.attributes["connection"] = connection
    return alembic


def migrate(database: Database) -> None:
    """Bring the schema to the newest version; raises DatabaseUnavailable."""
    with mapped_errors(), database.engine.connect() as connection:
        command.upgrade(config(connection), "head")
        connection.commit()
