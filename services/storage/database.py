"""The database: one engine, short transactions, and SQLAlchemy's errors mapped to those of `contract.errors`."""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache
from typing import Any, Self

from sqlalchemy import Connection, Engine, StaticPool, create_engine, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from contract.errors import Conflict, DatabaseUnavailable, Invalid, TidepoolError
from contract.tracing import Span, current, span
from services.storage import tables
from services.storage.database_url import connect_options, database_url, follow_primary
from services.storage.metrics import DATABASE_FAILURES, READ_SECONDS, WRITE_SECONDS

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """An engine and a clock; every query runs inside `read` or `write`."""

    def __init__(self, engine: Engine, clock: Clock = utc_now) -> None:
        self.engine = engine
        self.now = clock
        self._write_lock: AbstractContextManager[object] = nullcontext()
        self._read_lock: AbstractContextManager[object] = nullcontext()
        # with PostgreSQL's default isolation, each statement of a transaction would see a newer state
        self._snapshot = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
        if engine.dialect.name == "sqlite":
            # SQLite polls for its write lock, which can starve a thread; threads of a process queue here instead
            self._write_lock = threading.Lock()
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)

    @classmethod
    def connect(cls, url: str, clock: Clock = utc_now) -> Self:
        """Create the engine for `url` (see `database_url`); it connects at the first transaction."""
        if url.startswith("sqlite"):
            return cls(create_engine(url, pool_size=8, max_overflow=24), clock)
        address = database_url(url)
        engine = create_engine(address, pool_pre_ping=True, pool_timeout=5, connect_args=connect_options(address))
        follow_primary(engine)
        return cls(engine, clock)

    @classmethod
    def in_memory(cls, clock: Clock = utc_now) -> Self:
        """Create a private SQLite database in memory, for unit tests; it lives as long as this object."""
        template, compiled = _in_memory_template()
        engine = Engine(template.pool.recreate(), template.dialect, template.url)
        database = cls(engine, clock)
        database._read_lock = database._write_lock  # all threads share its one connection
        _driver(engine).deserialize(_empty_tables())
        database.engine = engine.execution_options(compiled_cache=compiled)
        return database

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction whose queries all see the same snapshot; raises DatabaseUnavailable."""
        with (
            self._traced("read"),
            READ_SECONDS.time(),
            mapped_errors(),
            self._read_lock,
            self.engine.connect().execution_options(**self._snapshot) as connection,
            connection.begin(),
            _counted(connection),
        ):
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction for writing, which on SQLite takes the write lock at once.

        Raises DatabaseUnavailable or Conflict.
        """
        with (
            self._traced("write"),
            WRITE_SECONDS.time(),
            mapped_errors(),
            self._write_lock,
            self.engine.connect().execution_options(writes=True) as connection,
            connection.begin(),
            _counted(connection),
        ):
            yield connection

    def _traced(self, operation: str) -> AbstractContextManager[Span | None]:
        attributes = {"db.system.name": self.engine.dialect.name, "db.operation.name": operation}
        return span(f"SQL {operation}", attributes)

    def ping(self) -> None:
        """Raise DatabaseUnavailable unless the database answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))


@cache
def _in_memory_template() -> tuple[Engine, dict[Any, Any]]:
    """Return what databases in memory share: an engine to copy, and compiled statements, which depend on its dialect.

    Tests make thousands of databases, and would spend most of their time on tables and statements.
    """
    return create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}), {}


def _driver(engine: Engine) -> sqlite3.Connection:
    """Return the one connection of an engine in memory."""
    with closing(engine.raw_connection()) as connection:
        driver = connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101
    return driver


@cache
def _empty_tables() -> bytes:
    """Return a database file with empty tables."""
    engine, _ = _in_memory_template()
    tables.metadata.create_all(engine)
    return _driver(engine).serialize()


@contextmanager
def _counted(connection: Connection) -> Iterator[None]:
    """Add the number of the block's statements to its span, if there is one; neither their texts nor their values."""
    if (recorded := current()) is None:
        yield
        return
    count = itertools.count()
    event.listen(connection, "before_cursor_execute", lambda *_: next(count))
    try:
        yield
    finally:
        recorded.set({"db.statements": next(count)})


@contextmanager
def mapped_errors() -> Iterator[None]:
    """Map the errors of SQLAlchemy to those of `contract.errors`."""
    try:
        yield
    except TidepoolError:
        raise
    except IntegrityError as error:
        raise Conflict("another request changed the same data at the same time; try again") from error
    except DataError as error:  # for example a NUL in a text, on PostgreSQL
        raise Invalid("a value in the request cannot be stored") from error
    except (DBAPIError, PoolTimeout) as error:
        DATABASE_FAILURES.inc()
        raise DatabaseUnavailable("the database does not answer; try again soon") from error
    except SQLAlchemyError as error:
        raise TidepoolError("the database refused a query") from error


def _configure_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # an accepted job survives a power failure, too
    cursor.execute("PRAGMA busy_timeout=10000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Upgrading a read lock fails at once if another connection wrote in between, so take the write lock first.
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
