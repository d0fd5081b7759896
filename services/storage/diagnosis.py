"""What the database and the object store say of themselves, for the health report."""

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from contract.artifacts import Bucket
from contract.errors import Corrupt, DatabaseUnavailable
from services.storage.database import Database
from services.storage.objects import Objects

PROBE_PREFIX = "health-probe-"  # an object that is left behind is collected, since no upload has it

_VERSIONS = {
    "sqlite": ("SQLite", "SELECT sqlite_version()"),
    "postgresql": ("PostgreSQL", "SELECT current_setting('server_version')"),
}


@dataclass(frozen=True)
class DatabaseFacts:
    """`revision` is that of the schema, None if there is none or it may not be read; `newest` is this code's.

    `clock` is None for a database without a clock of its own. `latency_s` is the time of one query.
    """

    server: str
    revision: str | None
    newest: str
    clock: datetime | None
    latency_s: float


@dataclass(frozen=True)
class StoreFacts:
    """`server` is the product, None if the store does not tell; `clock` is exact to the second."""

    server: str | None
    missing: tuple[Bucket, ...]
    clock: datetime | None
    latency_s: float


def database_facts(database: Database) -> DatabaseFacts:
    """Ask the database about itself; raises DatabaseUnavailable."""
    product, query = _VERSIONS[database.engine.dialect.name]
    with database.read() as connection:
        version = str(connection.execute(text(query)).scalar_one()).partition(" ")[0]
        started = time.perf_counter()
        connection.execute(text("SELECT 1"))
        latency_s = time.perf_counter() - started
        clock = _clock(connection)
    return DatabaseFacts(f"{product} {version}", _revision(database), newest_revision(), clock, latency_s)


@lru_cache(maxsize=1)
def newest_revision() -> str:
    """Return the newest migration of this code."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return str(ScriptDirectory.from_config(config).get_current_head())


def store_facts(objects: Objects) -> StoreFacts:
    """Ask the object store for its buckets and its clock; raises ObjectsUnavailable."""
    started = time.perf_counter()
    headers = {bucket: objects.bucket_headers(bucket) for bucket in Bucket}
    latency_s = (time.perf_counter() - started) / len(headers)
    one: dict[str, str] = next((dict(lines) for lines in headers.values() if lines is not None), {})
    missing = tuple(bucket for bucket, lines in headers.items() if lines is None)
    return StoreFacts(one.get("server"), missing, _date(one.get("date")), latency_s)


def try_object(objects: Objects) -> float:
    """Write, read and delete a small object; return the seconds. Raises ObjectsUnavailable or Corrupt."""
    key = f"{PROBE_PREFIX}{uuid.uuid4().hex}"
    data, started = key.encode(), time.perf_counter()
    ref = objects.put(Bucket.UPLOADS, key, data)
    try:
        if objects.read(ref) != data:
            raise Corrupt("an object read from the object store is not what was written")
    finally:
        objects.remove(Bucket.UPLOADS, [key])
    return time.perf_counter() - started


def _clock(connection: Connection) -> datetime | None:
    if connection.dialect.name == "sqlite":
        return None
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return now.astimezone(UTC)


def _revision(database: Database) -> str | None:
    try:
        with database.read() as connection:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except DatabaseUnavailable:  # there is no such table, or this service's role may not read it
        return None


def _date(header: str | None) -> datetime | None:
    try:
        return None if header is None else parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None
