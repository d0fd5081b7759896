"""The folder of a stack, made by hand: a database that refers to two objects, and the secrets."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tidepool.backup.manifest import known_revisions, object_path
from tidepool.stack.home import Home

SHARD, MODEL = "1/attempts/1/shard", "2/attempts/1/model.onnx"


def put(home: Home, key: str, content: bytes) -> None:
    """Write an object and refer to it."""
    path = home.path / object_path("jobs", key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    with closing(sqlite3.connect(home.data / "tidepool.db", isolation_level=None)) as database:
        database.execute("INSERT INTO object_references VALUES ('jobs', ?, 'job_output', '1')", [key])


def forget(home: Home, key: str) -> None:
    """Delete an object and the reference to it, as the deletion of a version and the collector do."""
    with closing(sqlite3.connect(home.data / "tidepool.db", isolation_level=None)) as database:
        database.execute("DELETE FROM object_references WHERE key = ?", [key])
    (home.path / object_path("jobs", key)).unlink()


def references(home: Home) -> set[str]:
    with closing(sqlite3.connect(home.data / "tidepool.db")) as database:
        return {key for (key,) in database.execute("SELECT key FROM object_references WHERE key <> 'announced'")}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "home")
    home.create()
    with closing(sqlite3.connect(home.data / "tidepool.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("CREATE TABLE object_references (bucket TEXT, key TEXT, owner_kind TEXT, owner_id TEXT)")
        database.execute("CREATE TABLE uploads (id TEXT, complete BOOLEAN)")
        database.execute("INSERT INTO object_references VALUES ('uploads', 'announced', 'upload', 'announced')")
        database.execute("INSERT INTO uploads VALUES ('announced', 0)")
        database.execute("INSERT INTO alembic_version VALUES (?)", [max(known_revisions())])
        database.commit()
    put(home, SHARD, b"s" * 3_000_000)
    put(home, MODEL, b"model")
    home.key_file.write_text("tp_key\n")
    home.secrets_file.write_text("{}")
    (home.path / object_path("jobs", "3/attempts/1/unfinished")).parent.mkdir(parents=True)
    (home.path / object_path("jobs", "3/attempts/1/unfinished")).write_bytes(b"nobody refers to it")
    return home


@pytest.fixture
def other(tmp_path: Path) -> Home:
    """The folder of another stack, which does not exist."""
    return Home.at(tmp_path / "others" / "home")
