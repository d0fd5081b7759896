"""Database roles of the services: they can read and write rows, but not change tables."""

from collections.abc import Iterator, Mapping

from psycopg import sql
from sqlalchemy import text

from services.storage.access.rights import TABLES, Service, TableRights
from services.storage.database import Database
from services.storage.database_url import database_url

_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")


def ensure_roles(database: Database, urls: Mapping[Service, str]) -> None:
    """Create the PostgreSQL roles in the services' URLs, with their passwords and rights; safe to repeat.

    `database` must be connected as the owner of the tables, who may create roles. Raises DatabaseUnavailable.
    """
    for service, url in urls.items():
        target = database_url(url)
        with database.write() as connection:
            exists = connection.execute(_EXISTS, {"role": target.username}).first()
            driver = connection.connection.driver_connection
            connection.execution_options(no_parameters=True)  # a % in a password is not a placeholder
            verb = sql.SQL("ALTER" if exists else "CREATE")
            role, password = sql.Identifier(str(target.username)), sql.Literal(str(target.password))
            statements = [
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, role, password),
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(str(target.database)), role),
                *_rights(role, TABLES[service]),
            ]
            for statement in statements:
                connection.exec_driver_sql(statement.as_string(driver))


def _rights(role: sql.Identifier, rights: TableRights) -> Iterator[sql.Composed]:
    yield sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role)
    yield sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role)
    yield sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(role)
    for privileges, names in (("SELECT, INSERT, UPDATE, DELETE", rights.writes), ("SELECT", rights.reads)):
        tables = sql.SQL(", ").join(map(sql.Identifier, sorted(names)))
        if names:
            yield sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privileges), tables, role)
