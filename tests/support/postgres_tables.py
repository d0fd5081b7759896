"""An empty or migrated PostgreSQL database for each test, on the server of all tests."""

from sqlalchemy import Connection, text

from services.storage.database import Database
from services.storage.migrate import migrate

# Every column of every table, and the migration that the schema has.
SCHEMA = text(
    "SELECT string_agg(attrelid || ' ' || attname, ',' ORDER BY attrelid, attnum) FROM pg_attribute "
    "JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' "
    "UNION ALL SELECT version_num FROM alembic_version"
)
TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'")
SEQUENCES = text(
    "SELECT setval(c.oid::regclass, 1, false) FROM pg_class c "
    "WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
)
DEFAULT = text("INSERT INTO projects (name, description, created_at) VALUES ('default', '', now())")


def wipe(database: Database) -> None:
    """Drop everything."""
    with database.write() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))


class MigratedTables:
    """Tables as the migrations leave them; emptying them is twenty times as fast as migrating again."""

    def __init__(self) -> None:
        self._migrated: list[str] = []

    def prepare(self, url: str) -> None:
        """Empty the tables; migrate again if a test has changed them."""
        database = Database.connect(url)
        with database.write() as connection:
            intact = self._migrated != [] and self._migrated == _schema(connection)
            if intact:
                _empty(connection)
        if not intact:
            wipe(database)
            migrate(database)
            with database.read() as connection:
                self._migrated = _schema(connection)
        database.engine.dispose()


def _empty(connection: Connection) -> None:
    """Delete all rows but the default project; much faster than TRUNCATE, which makes new files."""
    names = connection.execute(TABLES).scalars()
    connection.execute(text("SET LOCAL session_replication_role = replica"))  # do not check foreign keys
    connection.execute(text("; ".join(f"DELETE FROM {name}" for name in names)))
    connection.execute(SEQUENCES)
    connection.execute(DEFAULT)


def _schema(connection: Connection) -> list[str]:
    """Return a description of the schema; empty if there are no migrated tables."""
    if connection.execute(text("SELECT to_regclass('alembic_version')")).scalar_one() is None:
        return []
    return [str(row) for row in connection.execute(SCHEMA).scalars()]
