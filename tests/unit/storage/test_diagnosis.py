"""What the database and the object store say of themselves"""

from pathlib import Path

import pytest
from sqlalchemy import text

from contract.artifacts import Bucket
from contract.errors import Corrupt, DatabaseUnavailable
from services.storage.database import Database
from services.storage.diagnosis import database_facts, newest_revision, store_facts, try_object
from services.storage.memory_objects import MemoryObjects


def test_a_migrated_database_has_a_revision(tmp_path: Path) -> None:
    database = Database.connect(f"sqlite:///{tmp_path}/tidepool.db")
    with database.write() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('0007')"))

    facts = database_facts(database)

    assert facts.server.startswith("SQLite 3.")
    assert (facts.revision, facts.clock) == ("0007", None)
    assert facts.latency_s >= 0


def test_a_database_without_migrations_has_none() -> None:
    facts = database_facts(Database.in_memory())

    assert facts.revision is None
    assert facts.newest == newest_revision() >= "0019"


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(DatabaseUnavailable):
        database_facts(Database.connect("postgresql+psycopg://nobody@127.0.0.1:1/none"))


def test_a_missing_bucket_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = MemoryObjects()
    date = "Sat, 31 Jan 2026 12:00:00 GMT"
    headers = {Bucket.UPLOADS: {"server": "rclone/v1.75.2", "date": date}}
    monkeypatch.setattr(objects, "bucket_headers", headers.get)

    facts = store_facts(objects)

    assert (facts.server, facts.missing) == ("rclone/v1.75.2", (Bucket.JOBS,))
    assert facts.clock is not None
    assert facts.clock.isoformat() == "2026-01-31T12:00:00+00:00"


def test_a_probe_leaves_nothing_behind_even_if_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = MemoryObjects()
    assert try_object(objects) >= 0
    assert objects.content == {}

    monkeypatch.setattr(objects, "read", lambda ref: b"something else")
    with pytest.raises(Corrupt):
        try_object(objects)
    assert objects.content == {}
