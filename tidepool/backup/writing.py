"""Write a backup, also while the stack runs.

The database is copied first, then the objects that it refers to. Meanwhile some of them may be deleted, since the
collector's grace period counts from when an object was written, not from when it was given up. So the database is
copied again, and then what it newly refers to, until nothing is missing that the last copy refers to. That copy goes
into the backup. All but the first of these rounds are short.
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from tidepool.backup.database import copy_database, referenced_objects, revision_of
from tidepool.backup.manifest import DATABASE, FORMAT, MANIFEST, BackupFailed, Manifest, StoredFile, private_files
from tidepool.stack.home import Home

CHUNK = 1 << 20
ROUNDS = 50
SPARE = 64 << 20  # bytes that must stay free beside the backup
OnBytes = Callable[[int, int], None]  # the bytes that are copied, and those known so far


def write_backup(home: Home, target: Path, on_bytes: OnBytes = lambda copied, known: None) -> Manifest:
    """Write `target`, which appears when it is whole, and return its manifest; raises BackupFailed."""
    if not (home.path / DATABASE).exists():
        raise BackupFailed(f"There is no stack in {home.path} to back up. Set TIDEPOOL_HOME to its folder.")
    if target.exists():
        raise BackupFailed(f"{target} exists already. Name another file.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    database = draft.with_suffix(".db")
    with _explained(target), ExitStack() as drafts:
        for path in (draft, database):
            drafts.callback(path.unlink, missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                tar.copybufsize = CHUNK  # type: ignore[attr-defined]
                manifest = _Writer(home, tar, on_bytes).write(database)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
        _sync(target.parent)
    return manifest


class _Writer:
    """Adds files to a tar file and remembers their hashes."""

    def __init__(self, home: Home, tar: tarfile.TarFile, on_bytes: OnBytes) -> None:
        self._home = home
        self._tar = tar
        self._on_bytes = on_bytes
        self._files: dict[str, StoredFile] = {}
        self._copied = self._known = 0

    def write(self, database: Path) -> Manifest:
        """Write all members; `database` is the path for the copy of the database."""
        missing = self._add_objects(database)
        self._add(database, DATABASE)
        for path in private_files(self._home):
            self._add(path, path.name)
        manifest = Manifest(
            format=FORMAT,
            version=version("tidepool"),
            revision=revision_of(database),
            created_at=datetime.now(UTC),
            files=tuple(self._files.values()),
            missing=tuple(sorted(missing)),
        )
        content = manifest.model_dump_json(indent=1).encode()
        self._tar.addfile(_member(MANIFEST, len(content), 0), BytesIO(content))
        return manifest

    def _add_objects(self, database: Path) -> frozenset[str]:
        """Copy the database and its objects; return those that are missing from two copies in a row.

        Raises BackupFailed if none of the objects exists: they are elsewhere, not lost.
        """
        lost: frozenset[str] = frozenset()
        for _ in range(ROUNDS):
            copy_database(self._home.path / DATABASE, database)
            paths = referenced_objects(database) - self._files.keys()
            self._require_room(paths, database)
            gone = frozenset(path for path in sorted(paths) if not self._add(self._home.path / path, path))
            if gone <= lost:
                if gone and not self._files:
                    raise BackupFailed(
                        f"None of the {len(gone)} objects is in {self._home.data / 's3'}. Set "
                        "TIDEPOOL_S3_BUCKET_PREFIX as for `tidepool up`, and mount the disk of the objects."
                    )
                return gone
            lost = gone
        raise BackupFailed("Objects are deleted faster than they can be copied. Try again when the stack does less.")

    def _require_room(self, paths: frozenset[str], database: Path) -> None:
        """Count the bytes to copy; raises BackupFailed if they do not fit on the disk."""
        sizes = (_size(self._home.path / path) for path in paths)
        self._known = self._copied + sum(sizes) + database.stat().st_size
        free = shutil.disk_usage(database.parent).free
        if self._known - self._copied + SPARE > free:
            needed = (self._known - self._copied + SPARE) / 2**20
            raise BackupFailed(f"The backup needs {needed:.0f} MiB in {database.parent}; {free / 2**20:.0f} are free.")

    def _add(self, source: Path, name: str) -> bool:
        """Copy a file; return False if it does not exist."""
        try:
            file = source.open("rb")
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _unreadable(source, error) from error
        with file:
            stat = os.fstat(file.fileno())
            reader = _HashingReader(source, file, self._on_read)
            self._tar.addfile(_member(name, stat.st_size, stat.st_mtime), reader)  # type: ignore[arg-type]
            self._tar.members = []  # type: ignore[attr-defined]  # which addfile collects
        self._files[name] = StoredFile(path=name, size=stat.st_size, sha256=reader.digest.hexdigest())
        return True

    def _on_read(self, size: int) -> None:
        self._copied += size
        self._on_bytes(self._copied, max(self._copied, self._known))


class _HashingReader:
    """A file whose bytes are hashed as they are read."""

    def __init__(self, path: Path, file: BinaryIO, on_read: Callable[[int], None]) -> None:
        self.digest = hashlib.sha256()
        self._path = path
        self._file = file
        self._on_read = on_read

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except OSError as error:  # which must not pass for one of writing
            raise _unreadable(self._path, error) from error
        self.digest.update(data)
        self._on_read(len(data))
        return data


def _member(name: str, size: int, modified_at: float) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, int(modified_at), 0o600
    return member


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # reading the file tells why


def _unreadable(path: Path, error: OSError) -> BackupFailed:
    return BackupFailed(f"{path} cannot be read: {error.strerror or error}.")


def _sync(folder: Path) -> None:
    """Make a new name in a folder survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupFailed(f"The backup {target} cannot be written: {error.strerror or error}.") from error
