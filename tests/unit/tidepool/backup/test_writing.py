import errno
import sqlite3
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest

from tests.unit.tidepool.backup.conftest import MODEL, SHARD, forget, put, references
from tidepool.backup import writing
from tidepool.backup.manifest import BackupFailed, object_path
from tidepool.backup.restoring import restore_backup
from tidepool.backup.writing import write_backup
from tidepool.stack.home import Home


def once(action: Callable[[], None]) -> Callable[[int, int], None]:
    """Return a progress callback that acts at its first call, in the middle of the first object."""
    actions = [action]

    def on_bytes(copied: int, known: int) -> None:
        while actions:
            actions.pop()()

    return on_bytes


def objects(home: Home) -> dict[str, bytes]:
    folder = home.path / object_path("jobs", "")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_restored_backup_has_the_database_its_objects_and_the_secrets(
    home: Home, other: Home, tmp_path: Path
) -> None:
    shown: list[tuple[int, int]] = []

    written = write_backup(home, tmp_path / "backup.tar", lambda *bytes_: shown.append(bytes_))
    restored = restore_backup(other, tmp_path / "backup.tar")

    assert restored == written
    assert restored.missing == ()  # an upload that was announced has no object yet
    assert objects(other) == {SHARD: b"s" * 3_000_000, MODEL: b"model"}
    assert references(other) == {SHARD, MODEL}
    assert (other.key_file.read_text(), other.secrets_file.read_text()) == ("tp_key\n", "{}")
    private = (other.path, other.data, other.key_file, tmp_path / "backup.tar")
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    assert shown[-1] == (written.size, written.size)
    assert list(tmp_path.glob(".*")) == []


def test_what_is_deleted_and_published_meanwhile_leaves_a_consistent_backup(
    home: Home, other: Home, tmp_path: Path
) -> None:
    def change() -> None:
        forget(home, MODEL)
        put(home, "4/attempts/1/new.onnx", b"newer")

    manifest = write_backup(home, tmp_path / "backup.tar", once(change))
    restore_backup(other, tmp_path / "backup.tar")

    assert references(other) == {SHARD, "4/attempts/1/new.onnx"}
    assert objects(other).keys() >= references(other)
    assert manifest.missing == ()


def test_only_the_owner_can_read_the_drafts_of_a_backup(home: Home, tmp_path: Path) -> None:
    modes: set[int] = set()

    def look() -> None:
        modes.update(path.stat().st_mode & 0o777 for path in tmp_path.glob(".backup.tar.*"))

    write_backup(home, tmp_path / "backup.tar", once(look))

    assert modes == {0o600}


def test_an_object_that_was_lost_before_is_listed(home: Home, tmp_path: Path) -> None:
    (home.path / object_path("jobs", MODEL)).unlink()

    assert write_backup(home, tmp_path / "backup.tar").missing == (object_path("jobs", MODEL),)


def test_a_backup_without_any_object_is_refused(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_S3_BUCKET_PREFIX", "other-")

    with pytest.raises(BackupFailed, match=r"None of the 2 objects .* Set TIDEPOOL_S3_BUCKET_PREFIX"):
        write_backup(home, tmp_path / "backup.tar")

    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_stack_without_objects_is_backed_up(home: Home, tmp_path: Path) -> None:
    for key in (SHARD, MODEL):
        forget(home, key)

    assert len(write_backup(home, tmp_path / "backup.tar").files) == 3


def test_writes_that_are_not_checkpointed_are_in_the_backup(home: Home, other: Home, tmp_path: Path) -> None:
    with closing(sqlite3.connect(home.data / "tidepool.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("INSERT INTO object_references VALUES ('uploads', 'lost', 'upload', 'lost')")
        write_backup(home, tmp_path / "backup.tar")

    restore_backup(other, tmp_path / "backup.tar")

    assert references(other) == {SHARD, MODEL, "lost"}


def test_an_interrupted_backup_leaves_nothing(home: Home, tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_backup(home, tmp_path / "backup.tar", once(stop))

    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_file_that_exists_is_kept(home: Home, tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_text("mine")

    with pytest.raises(BackupFailed, match="exists already"):
        write_backup(home, tmp_path / "backup.tar")

    assert (tmp_path / "backup.tar").read_text() == "mine"


def test_a_folder_without_a_stack_is_refused(other: Home, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="no stack in"):
        write_backup(other, tmp_path / "backup.tar")


def test_a_disk_without_room_is_refused_before_it_is_full(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = writing.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(writing.shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))

    with pytest.raises(BackupFailed, match=r"needs \d+ MiB"):
        write_backup(home, tmp_path / "backup.tar")

    assert list(tmp_path.glob("*.tar")) == []


def test_an_object_that_cannot_be_read_is_named(home: Home, tmp_path: Path) -> None:
    path = home.path / object_path("jobs", MODEL)
    path.unlink()
    path.mkdir()

    with pytest.raises(BackupFailed, match=f"^{path} cannot be read: Is a directory"):
        write_backup(home, tmp_path / "backup.tar")


def test_an_object_whose_disk_fails_is_named(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(BytesIO):
        def fileno(self) -> int:
            return 0

        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "open", lambda *_: Failing())
    monkeypatch.setattr(writing.os, "fstat", lambda _: home.key_file.stat())

    with pytest.raises(BackupFailed, match=rf"^{home.path}/.* cannot be read: Input/output error"):
        write_backup(home, tmp_path / "backup.tar")


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000])
def test_a_damaged_database_is_not_backed_up(home: Home, tmp_path: Path, content: bytes) -> None:
    for path in home.data.glob("tidepool.db*"):
        path.unlink()
    (home.data / "tidepool.db").write_bytes(content)

    with pytest.raises(BackupFailed):
        write_backup(home, tmp_path / "backup.tar")

    assert list(tmp_path.glob("*.tar")) == []
