"""A consistent copy of the SQLite database, while services write to it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tidepool.backup.manifest import BackupFailed, object_path

_REFERENCES = """\
SELECT DISTINCT bucket, key FROM object_references WHERE NOT (
    owner_kind = 'upload' AND owner_id IN (SELECT id FROM uploads WHERE NOT complete)
)"""  # an upload is announced before there is an object


def copy_database(source: Path, target: Path) -> None:
    """Copy with SQLite's online backup: what one transaction sees, and no writer waits; raises BackupFailed.

    The copy is a new file of mode 600.
    """
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # SQLite would let others read it
    with _explained(source), closing(_opened(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # so that the copy is one file
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise BackupFailed(f"The database {source} is damaged ({verdict}). Restore an earlier backup.")


def revision_of(copy: Path) -> str:
    """Return the migration that the database has reached; raises BackupFailed."""
    with _explained(copy), closing(_opened(copy)) as database:
        row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        raise BackupFailed("The database has no tables yet. Start the stack with `tidepool up`, then try again.")
    return str(row[0])


def referenced_objects(copy: Path) -> frozenset[str]:
    """Return the paths, in the stack's folder, of all objects that the database refers to; raises BackupFailed."""
    with _explained(copy), closing(_opened(copy)) as database:
        return frozenset(object_path(bucket, key) for bucket, key in database.execute(_REFERENCES))


def _opened(path: Path) -> sqlite3.Connection:
    """Open a database that exists; in mode `ro`, one that was not closed in order could not be read."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)
    connection.execute("PRAGMA busy_timeout=10000")
    return connection


@contextmanager
def _explained(database: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            message = "The database is that of an older release. Start the stack with `tidepool up`, then try again."
            raise BackupFailed(message) from error
        raise BackupFailed(f"The database {database} cannot be copied: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise BackupFailed(f"The database {database} is damaged ({error}). Restore an earlier backup.") from error
