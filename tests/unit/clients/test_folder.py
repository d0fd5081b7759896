"""A folder is sent as a zip that is made meanwhile."""

import io
import os
import unicodedata
import zipfile
from pathlib import Path

import pytest

from tidepool_client import InvalidInput
from tidepool_client.folder import FolderZip, dataset_name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    for name, content in {
        "cat/1.jpg": b"one",
        "cat/2.jpg": bytes(200_000),
        unicodedata.normalize("NFD", "grün/é.png"): b"three",
        "labels.csv": b"a,b",
        "cat/empty.jpg": b"",
        ".git/config": b"x",
        "cat/.DS_Store": b"x",
        "cat/@eaDir/thumb.jpg": b"x",
        "Thumbs.db": b"x",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def content_of(file: FolderZip) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(file.read())) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_zip_has_the_files_without_clutter_and_names_in_nfc(folder: Path) -> None:
    file = FolderZip(folder)

    assert content_of(file) == {
        "cat/1.jpg": b"one",
        "cat/2.jpg": bytes(200_000),
        "cat/empty.jpg": b"",
        "grün/é.png": b"three",
        "labels.csv": b"a,b",
    }
    assert file.skipped == 4


def test_the_size_is_known_before_and_the_progress_is_reported(folder: Path) -> None:
    sent: list[tuple[int, int]] = []
    file = FolderZip(folder, lambda done, size: sent.append((done, size)))

    pieces = []
    while piece := file.read(65_536):
        pieces.append(piece)

    assert len(b"".join(pieces)) == file.size
    assert all(len(piece) == 65_536 for piece in pieces[:-1])
    assert sent[0] == (65_536, file.size)
    assert sent[-1] == (file.size, file.size)


def test_the_zip_can_be_sent_again(folder: Path) -> None:
    file = FolderZip(folder)
    assert file.seek(0, os.SEEK_END) == file.size
    assert file.seek(0) == 0
    first = file.read()

    file.seek(0)

    assert file.read() == first
    with pytest.raises(io.UnsupportedOperation):
        file.seek(5)


def test_links_are_followed_once(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "dogs"
    outside.mkdir()
    (outside / "3.jpg").write_bytes(b"dog")
    (folder / "dog").symlink_to(outside)
    (folder / "cat" / "4.jpg").symlink_to(outside / "3.jpg")
    (folder / "cat" / "up").symlink_to(folder)
    (folder / "cat" / "broken.jpg").symlink_to(folder / "none")

    names = set(content_of(FolderZip(folder)))

    assert {"dog/3.jpg", "cat/4.jpg"} <= names
    assert not any("up/" in name or "broken" in name for name in names)


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").write_bytes(b"x")

    with pytest.raises(InvalidInput, match="has no files"):
        FolderZip(tmp_path)


def test_a_file_that_changes_meanwhile_ends_the_upload(folder: Path) -> None:
    file = FolderZip(folder)
    (folder / "cat" / "2.jpg").write_bytes(b"shorter")

    with pytest.raises(InvalidInput, match="changed"):
        file.read()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Pets", "pets"),
        ("my pets.zip", "my-pets"),
        ("cats.tar.gz", "cats"),
        ("cats.v2.tar", "cats.v2"),
        ("Käse & Brot", "kase-brot"),
        ("猫", "images"),
        ("x" * 80, "x" * 50),
        ("_a_", "a"),
    ],
)
def test_the_dataset_is_named_after_the_folder(path: str, name: str) -> None:
    assert dataset_name(Path(path)) == name
