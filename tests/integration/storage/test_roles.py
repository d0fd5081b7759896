"""The role of the services on PostgreSQL: rows, and nothing else."""

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import ProgrammingError

from contract.errors import DatabaseUnavailable
from contract.keys import Scope
from services.storage.keys import Keys
from services.storage.migrate import migrate
from services.storage.roles import ensure_services_role
from services.storage.session import Database
from tests.servers import Server

READ = frozenset({Scope.READ})


@pytest.fixture
def owner(postgres: Server) -> Database:
    database = Database.connect(postgres.url)
    with database.write() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    migrate(database)
    return database


@pytest.fixture
def services(owner: Database, postgres: Server) -> Database:
    """Connected as the services' role, which was made twice, as it is at each `init`."""
    url = make_url(postgres.url).set(username="ser'vices", password="p'w%s\"").render_as_string(hide_password=False)
    for _ in range(2):
        ensure_services_role(owner, url)
    return Database.connect(url)


def test_it_reads_and_writes_rows(services: Database) -> None:
    keys = Keys(services)

    made = keys.create("mine", READ)

    assert [key.id for key in keys.list()] == [made.id]
    keys.delete(made.id)
    assert keys.list() == ()


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE jobs",
        "ALTER TABLE jobs ADD COLUMN mine text",
        "TRUNCATE jobs",
        "CREATE TABLE mine (id int)",
        "CREATE ROLE other",
        "DELETE FROM alembic_version",
        "COPY jobs TO PROGRAM 'id'",
    ],
)
def test_it_changes_no_table(services: Database, statement: str) -> None:
    with (
        services.engine.connect() as connection,
        pytest.raises(ProgrammingError, match="InsufficientPrivilege"),
    ):
        connection.execute(text(statement))


def test_an_owner_who_may_not_make_roles_is_told(services: Database, postgres: Server) -> None:
    with pytest.raises(DatabaseUnavailable):
        ensure_services_role(
            services, make_url(postgres.url).set(username="other", password="x").render_as_string(False)
        )
