"""Restore a backup into an empty folder; the folder appears when every file in it is as it was."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from tidepool.backup.manifest import (
    DATABASE,
    FORMAT,
    MANIFEST,
    BackupFailed,
    Manifest,
    StoredFile,
    known_revisions,
)
from tidepool.stack.home import Home

CHUNK = 1 << 20
LARGEST_MANIFEST = 1 << 30
OnBytes = Callable[[int, int], None]  # the bytes that are restored, and those of the whole backup


def restore_backup(home: Home, source: Path, on_bytes: OnBytes = lambda restored, size: None) -> Manifest:
    """Check every file of a backup and put them into the home, which must be empty; raises BackupFailed."""
    if home.path.exists() and (not home.path.is_dir() or any(home.path.iterdir())):
        raise BackupFailed(f"{home.path} is not empty. Set TIDEPOOL_HOME to a folder that does not exist yet.")
    if home.path.is_mount():
        raise BackupFailed(
            f"{home.path} is a mount point. Name a new folder in it: TIDEPOOL_HOME={home.path}/tidepool."
        )
    if not source.is_file():
        raise BackupFailed(f"{source} is not a file. Name a file that `tidepool backup` has made.")
    draft = home.path.with_name(f".{home.path.name}.{os.getpid()}.restoring")
    try:
        with tarfile.open(source, "r:") as tar:
            manifest, members = _contents(tar, source)
            draft.mkdir(mode=0o700, parents=True)
            (draft / "data").mkdir(mode=0o700)  # as a parent of a file it would get the default mode
            _extract(tar, manifest, members, draft, on_bytes)
        os.sync()
        draft.rename(home.path)
    except (tarfile.TarError, EOFError) as error:
        raise BackupFailed(_damaged(source)) from error
    except OSError as error:
        place = error.filename or home.path
        raise BackupFailed(f"{source} cannot be restored: {error.strerror or error} ({place}).") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def _contents(tar: tarfile.TarFile, source: Path) -> tuple[Manifest, dict[str, tarfile.TarInfo]]:
    """Return the manifest and the other members by name; raises BackupFailed."""
    members = {member.name: member for member in tar.getmembers() if member.isreg()}
    last = members.pop(MANIFEST, None)
    file = tar.extractfile(last) if last is not None and last.size <= LARGEST_MANIFEST else None
    if file is None:
        raise BackupFailed(f"{source} is damaged or not whole: it has no manifest at its end. Use another one.")
    content = file.read()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise BackupFailed(f"{source} has a damaged manifest, or is of a newer release. Use another one.") from error
    if manifest.format > FORMAT or manifest.revision not in known_revisions():
        raise BackupFailed(
            f"{source} was made by Tidepool {manifest.version}, with database {manifest.revision}, which is newer than "
            "this release. Update Tidepool, then restore."
        )
    if any(not _is_expected(file.path) for file in manifest.files) or DATABASE not in members:
        raise BackupFailed(_damaged(source))
    return manifest, members


def _extract(
    tar: tarfile.TarFile, manifest: Manifest, members: dict[str, tarfile.TarInfo], folder: Path, on_bytes: OnBytes
) -> None:
    restored, size = 0, manifest.size
    for file in manifest.files:
        member = members.get(file.path)
        content = tar.extractfile(member) if member is not None and member.size == file.size else None
        if member is None or content is None:
            raise BackupFailed(f"The backup is damaged: {file.path} is missing or has another size. Use another one.")
        path = folder / file.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
            while chunk := content.read(CHUNK):
                target.write(chunk)
                digest.update(chunk)
                restored += len(chunk)
                on_bytes(restored, size)
        _require_same(file, digest.hexdigest())
        os.utime(path, (member.mtime, member.mtime))


def _require_same(file: StoredFile, sha256: str) -> None:
    if sha256 != file.sha256:
        raise BackupFailed(f"The backup is damaged: {file.path} is not what was written. Use another one.")


def _is_expected(path: str) -> bool:
    """Whether a path is one of a stack's files, and stays in its folder."""
    parts = PurePosixPath(path).parts
    return path in {"api-key", "secrets.json"} or (parts[:1] == ("data",) and ".." not in parts)


def _damaged(source: Path) -> str:
    return f"{source} is not a backup, or is damaged. Use another one."
