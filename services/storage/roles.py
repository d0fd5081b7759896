"""The only place that gives a database role its rights: the services read and write rows, and change no table."""

from collections.abc import Iterator

from psycopg import sql
from sqlalchemy import make_url, text

from services.storage.session import Database

_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")


def ensure_services_role(database: Database, url: str) -> None:
    """Make the PostgreSQL role that the services' `url` names, with its password; safe to repeat.

    `database` is connected as the owner of the tables, who may make roles. Raises DatabaseUnavailable.
    """
    target = make_url(url)
    role, name = sql.Identifier(str(target.username)), sql.Identifier(str(target.database))
    with database.write() as connection:
        known = connection.execute(_EXISTS, {"role": target.username}).first()
        verb = sql.SQL("ALTER" if known else "CREATE")
        password = sql.Literal(str(target.password))
        driver = connection.connection.driver_connection
        connection.execution_options(no_parameters=True)  # a % in a password is none
        for statement in _statements(verb, role, name, password):
            connection.exec_driver_sql(statement.as_string(driver))


def _statements(
    verb: sql.SQL, role: sql.Identifier, database: sql.Identifier, password: sql.Literal
) -> Iterator[sql.Composed]:
    yield sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, password)
    yield sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, role)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role)
    yield sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(role)
    yield sql.SQL("REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM {}").format(role)
    yield sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role)
