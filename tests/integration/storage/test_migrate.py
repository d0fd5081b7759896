"""The migrations and the tables are the same schema."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from services.storage.migrate import config, migrate
from services.storage.session import Database
from services.storage.tables import metadata
from tests.integration.storage.steps import publish_dataset


def test_an_empty_database_becomes_the_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    reference = publish_dataset(database, "pets")

    migrate(database)

    assert str(publish_dataset(database, "pets")) == f"{reference.name}@2"


def test_the_way_down_leaves_nothing(database: Database) -> None:
    with database.engine.connect() as connection:
        command.downgrade(config(connection), "base")
        connection.commit()

    assert inspect(database.engine).get_table_names() == ["alembic_version"]
