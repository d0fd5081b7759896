"""How much of the database the statements of an operation read, which does not depend on what else the machine does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, event

from services.storage.database import Database

EXPLAINED = ("SELECT", "UPDATE", "DELETE", "WITH")
Statement = tuple[str, Any]


@contextmanager
def recorded(database: Database) -> Iterator[list[Statement]]:
    """Yield a list to which every statement is added that the block executes, with its parameters."""
    statements: list[Statement] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", note)


def blocks_read(database: Database, action: Callable[[], object]) -> int:
    """Return how many blocks of 8 KiB PostgreSQL reads for an action's statements, from memory or disk.

    The statements run once more for it, and are rolled back.
    """
    with recorded(database) as statements:
        action()
    with database.engine.connect() as connection:
        total = sum(_blocks(connection, *statement) for statement in statements if statement[0].startswith(EXPLAINED))
        connection.rollback()
    return total


def scans(database: Database, action: Callable[[], object]) -> list[str]:
    """Return the lines of SQLite's plans for an action in which it reads a whole table."""
    with recorded(database) as statements:
        action()
    lines: list[str] = []
    with database.engine.connect() as connection:
        for statement, parameters in statements:
            if statement.startswith(EXPLAINED):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
                lines += [str(row[-1]) for row in rows]
    return [line for line in lines if line.startswith("SCAN jobs") and "USING" not in line]


def _blocks(connection: Connection, statement: str, parameters: Any) -> int:
    explained = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}", parameters
    )
    plan = explained.scalar_one()[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
