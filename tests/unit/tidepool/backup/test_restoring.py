import errno
import hashlib
import io
import json
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.unit.tidepool.backup.conftest import MODEL, SHARD
from tests.unit.tidepool.cli.conftest import run
from tidepool.backup.manifest import MANIFEST, BackupFailed
from tidepool.backup.restoring import restore_backup
from tidepool.backup.writing import write_backup
from tidepool.stack.home import Home


@pytest.fixture
def backup(home: Home, tmp_path: Path) -> Path:
    write_backup(home, tmp_path / "backup.tar")
    return tmp_path / "backup.tar"


def changed(backup: Path, change: Callable[[dict[str, Any]], None], *added: str) -> Path:
    """Write the backup with a changed manifest, and with empty files of these names."""
    target = backup.with_name("changed.tar")
    with tarfile.open(backup) as source, tarfile.open(target, "w") as tar:
        for member in source.getmembers():
            content = source.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == MANIFEST:
                manifest = json.loads(data)
                change(manifest)
                data = json.dumps(manifest).encode()
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for name in added:
            tar.addfile(tarfile.TarInfo(name))
    return target


def refusal(other: Home, backup: Path) -> str:
    """Return why a backup is refused, after checking that it left nothing."""
    with pytest.raises(BackupFailed) as caught:
        restore_backup(other, backup)
    assert not other.path.exists()
    assert not other.path.parent.exists() or list(other.path.parent.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(backup: Path, other: Home, kept: float) -> None:
    content = backup.read_bytes()
    end = content.rindex(b'"missing"')  # what follows is padding
    backup.write_bytes(content[: int(end * kept)])

    reason = refusal(other, backup)
    assert reason.startswith(f"{backup} is ")
    assert "damaged" in reason


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (b"s" * 100, f"{SHARD} is not what was written"),
        (b"model", "it has no manifest at its end"),  # in a header, where the list of files then ends
        (b"SQLite format", "tidepool.db is not what was written"),
        (b"tp_key", "api-key is not what was written"),
        (b'"sha256"', "has a damaged manifest"),
    ],
)
def test_a_changed_byte_is_noticed(backup: Path, other: Home, place: bytes, reason: str) -> None:
    content = bytearray(backup.read_bytes())
    content[content.index(place) + 1] ^= 1
    backup.write_bytes(content)

    assert reason in refusal(other, backup)


def test_a_backup_of_a_newer_release_is_refused(backup: Path, other: Home) -> None:
    newer = changed(backup, lambda manifest: manifest.update(revision="9999"))
    assert "newer than this release. Update Tidepool" in refusal(other, newer)
    newer = changed(backup, lambda manifest: manifest.update(format=2))
    assert "newer than this release. Update Tidepool" in refusal(other, newer)


@pytest.mark.parametrize("path", ["../escaped", "/proc/escaped", "data/../../escaped", "run/supervisor.pid"])
def test_a_path_outside_of_the_folder_is_refused(backup: Path, other: Home, path: str) -> None:
    file = {"path": path, "size": 0, "sha256": hashlib.sha256().hexdigest()}
    hostile = changed(backup, lambda manifest: manifest["files"].append(file), path)

    assert refusal(other, hostile) == f"{hostile} is not a backup, or is damaged. Use another one."


def test_a_missing_member_is_noticed(backup: Path, other: Home) -> None:
    file = {"path": "data/s3/lost", "size": 0, "sha256": "0" * 64}
    incomplete = changed(backup, lambda manifest: manifest["files"].append(file))

    assert "data/s3/lost is missing" in refusal(other, incomplete)


@pytest.mark.parametrize("content", [b"a photo", b"PK\x03\x04" + bytes(5000)])
def test_another_file_is_refused(other: Home, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    assert "photo.jpg is not a backup" in refusal(other, tmp_path / "photo.jpg")
    assert "none.tar is not a file" in refusal(other, tmp_path / "none.tar")


def test_a_folder_that_is_not_empty_is_kept(backup: Path, home: Home) -> None:
    with pytest.raises(BackupFailed, match="is not empty"):
        restore_backup(home, backup)
    assert home.key_file.read_text() == "tp_key\n"


def test_an_empty_folder_is_filled(backup: Path, other: Home) -> None:
    other.path.mkdir(parents=True)
    restore_backup(other, backup)
    assert other.key_file.exists()


def test_a_mount_point_is_refused_before_anything_is_copied(
    backup: Path, other: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    other.path.mkdir(parents=True)
    monkeypatch.setattr(Path, "is_mount", lambda path: path == other.path)

    with pytest.raises(BackupFailed, match=f"TIDEPOOL_HOME={other.path}/tidepool"):
        restore_backup(other, backup, lambda *_: pytest.fail("it was copied"))


def test_an_error_names_the_file_that_it_is_about(backup: Path, other: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("tidepool.backup.restoring.tarfile.open", refuse)

    assert refusal(other, backup) == f"{backup} cannot be restored: Permission denied ({backup})."


def test_an_interrupted_restore_leaves_nothing(backup: Path, other: Home) -> None:
    def stop(restored: int, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(other, backup, stop)

    assert list(other.path.parent.iterdir()) == []


def test_the_commands_say_what_they_did(
    home: Home, other: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_HOME", str(home.path))
    written = run("backup", tmp_path)
    assert written.code == 0, written.err
    (file,) = tmp_path.glob("tidepool-*.tar")
    assert f"Wrote {file} with 5 files" in written.out
    assert run("backup", tmp_path / "none" / "b.tar").code == 2

    monkeypatch.setenv("TIDEPOOL_HOME", str(other.path))
    restored = run("restore", file)
    assert restored.code == 0, restored.err
    assert f"into {other.path}" in restored.out
    refused = run("restore", file)
    assert (refused.code, refused.out) == (1, "")
    assert "is not empty" in refused.err
    assert MODEL in {str(path.relative_to(other.data / "s3/tidepool-jobs")) for path in other.data.rglob("model.onnx")}


def test_the_command_to_restore_is_quoted(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEPOOL_HOME", str(home.path))

    assert f"tidepool restore '{tmp_path / 'my backup.tar'}'" in run("backup", tmp_path / "my backup.tar").out


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP])
def ending(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal whose default must not end the tests."""
    number: signal.Signals = request.param
    before = signal.signal(number, unhandled)
    yield number
    assert signal.signal(number, before) is unhandled


def unhandled(number: int, _frame: FrameType | None) -> None:
    """Take a signal that the command does not."""


def test_a_command_that_is_ended_leaves_nothing(
    backup: Path, home: Home, other: Home, monkeypatch: pytest.MonkeyPatch, ending: signal.Signals
) -> None:
    monkeypatch.setattr("tidepool.cli.backup.file_size", lambda _: signal.raise_signal(ending))  # while it copies

    monkeypatch.setenv("TIDEPOOL_HOME", str(home.path))
    assert run("backup", backup.with_name("second.tar")).code != 0
    monkeypatch.setenv("TIDEPOOL_HOME", str(other.path))
    assert run("restore", backup).code != 0

    assert sorted(path.name for path in backup.parent.iterdir()) == ["backup.tar", "home", "others"]
    assert list(other.path.parent.iterdir()) == []


def test_a_command_that_ignores_the_end_of_its_terminal_goes_on(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_HOME", str(home.path))
    sizes = iter([signal.SIGHUP])
    monkeypatch.setattr("tidepool.cli.backup.file_size", lambda _: [signal.raise_signal(number) for number in sizes])
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does
    try:
        assert run("backup", tmp_path / "backup.tar").code == 0
    finally:
        signal.signal(signal.SIGHUP, before)
