"""What a backup contains. Its manifest is the last member of the tar file, so a file without one is not whole."""

import os
import re
from pathlib import Path

from contract.base import Frozen, Moment, Sha256, Whole
from tidepool.errors import UserFacingError
from tidepool.stack.child import SOURCE
from tidepool.stack.home import Home

MANIFEST = "manifest.json"
DATABASE = "data/tidepool.db"
FORMAT = 1  # raised when older releases could not read a backup any more

_MIGRATIONS = SOURCE / "services" / "storage" / "migrations" / "versions"
_REVISION = re.compile(r"""^revision\b[^=]*=\s*["']([^"']+)""", re.MULTILINE)


class BackupFailed(UserFacingError):
    """A backup cannot be made or restored; the message says what to change."""


class StoredFile(Frozen):
    """One file, by its path in the stack's folder."""

    path: str
    size: Whole
    sha256: Sha256


class Manifest(Frozen):
    """What made a backup, and its files; `missing` are objects that were lost before the backup was made."""

    format: Whole
    version: str
    revision: str
    created_at: Moment
    files: tuple[StoredFile, ...]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return sum(file.size for file in self.files)


def private_files(home: Home) -> tuple[Path, ...]:
    """Return the files with the stack's secrets: the admin key, and the passwords of its servers."""
    return (home.key_file, home.secrets_file)


def object_path(bucket: str, key: str) -> str:
    """Return the path of an object in the stack's folder."""
    prefix = os.environ.get("TIDEPOOL_S3_BUCKET_PREFIX") or "tidepool-"  # as the services read it
    return f"data/s3/{prefix}{bucket}/{key}"


def known_revisions() -> frozenset[str]:
    """Return the revisions of the database that this release can migrate from, or has."""
    return frozenset(match[1] for file in _MIGRATIONS.glob("*.py") if (match := _REVISION.search(file.read_text())))
