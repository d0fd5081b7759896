"""The directory of a zip is read, or rejected in whole or in part."""

import stat
import zipfile
from pathlib import Path

import pytest

from contract.errors import BadArchive
from media.archives import zip_directory
from media.archives.limits import Limits
from media.archives.listing import Listing
from media.archives.rejections import Rejections
from tests.support.images import CENTRAL, patch, png, zipped


def listing(path: Path, members: int = 1000) -> tuple[Listing, dict[str, str]]:
    """Return the listing, and the reasons of rejected files."""
    rejections = Rejections()
    file, listing = zip_directory.opened(path, Limits(members=members), None, rejections)
    file.close()
    return listing, {item.file: item.reason for item in rejections.first()}


def listed(path: Path, members: int = 1000) -> tuple[list[str], dict[str, str]]:
    """Return the names of acceptable files, and the reasons of rejected ones."""
    directory, rejected = listing(path, members)
    return list(directory.places), rejected


def special(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "upload.zip"


@pytest.mark.parametrize("data", [b"", b"text, not a zip", b"\x89PNG\r\n\x1a\n" * 10], ids=["empty", "text", "PNG"])
def test_a_file_that_is_not_a_zip_is_rejected(path: Path, data: bytes) -> None:
    path.write_bytes(data)

    with pytest.raises(BadArchive, match="not a zip or tar file"):
        listed(path)


def test_cut_off_zip_is_rejected(path: Path) -> None:
    data = zipped(path, {"a": png()}).read_bytes()
    path.write_bytes(data[:-30])

    with pytest.raises(BadArchive, match="cut off"):
        listed(path)


def test_zip_without_files_is_rejected(path: Path) -> None:
    with pytest.raises(BadArchive, match="the archive is empty"):
        listed(zipped(path, {}))


def test_encrypted_zip_is_rejected(path: Path) -> None:
    zipped(path, {"a": b"1", "b": b"2"})

    with pytest.raises(BadArchive, match="encrypted"):
        listed(patch(path, CENTRAL, 8, "<H", 0x1, entry=1))


def test_unknown_zip_version_is_rejected(path: Path) -> None:
    with pytest.raises(BadArchive, match="features that are not supported"):
        listed(patch(zipped(path, {"a": b"1"}), CENTRAL, 6, "<H", 99))


def test_too_many_members_are_rejected(path: Path) -> None:
    zipped(path, {str(number): b"" for number in range(4)})

    assert len(listed(path, members=4)[0]) == 4
    with pytest.raises(BadArchive, match="over 3 files"):
        listed(path, members=3)


def test_too_large_directory_is_rejected_unread(path: Path) -> None:
    infos = [zipfile.ZipInfo(str(number)) for number in range(20)]
    for info in infos:
        info.comment = b"x" * 60_000

    with pytest.raises(BadArchive, match="directory is too large"):
        listed(zipped(path, [(info, b"") for info in infos]), members=20)


@pytest.mark.parametrize("header_offset", [0, 2**32 - 2], ids=["overlap", "outside"])
def test_members_that_overlap_or_lie_outside_are_rejected(path: Path, header_offset: int) -> None:
    zipped(path, {"a": png(), "b": png()})

    with pytest.raises(BadArchive, match="overlap or lie outside"):
        listed(patch(path, CENTRAL, 42, "<L", header_offset, entry=1))


def test_name_with_a_nul_is_rejected(path: Path) -> None:
    zipped(path, {"cat/1.png#.exe": png(), "ok": png()})
    path.write_bytes(path.read_bytes().replace(b"png#", b"png\0"))

    names, rejected = listed(path)

    assert names == ["ok"]
    assert rejected == {"cat/1.png\ufffd.exe": "its name has control characters"}


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(stat.S_IFLNK, "a symbolic link"), (stat.S_IFIFO, "not a regular file"), (stat.S_IFCHR, "not a regular file")],
)
def test_links_and_devices_are_rejected(path: Path, kind: int, reason: str) -> None:
    names, rejected = listed(zipped(path, [(special("cat/1.png", kind), b"/etc/passwd"), ("ok", b"")]))

    assert (names, rejected) == (["ok"], {"cat/1.png": reason})


def test_nested_archive_is_rejected(path: Path) -> None:
    inner = zipped(path.with_name("inner.zip"), {"cat/1.png": png()}).read_bytes()

    names, rejected = listed(zipped(path, {"cat/more.zip": inner, "ok": b""}))

    assert (names, rejected) == (["ok"], {"cat/more.zip": "nested archive"})


def test_folders_and_clutter_are_ignored(path: Path) -> None:
    clutter = ["cat/", "__MACOSX/cat/._1.png", "cat/.DS_Store", "Thumbs.db", "cat/@eaDir/1.jpg/thumb.jpg", ".git/1.png"]

    directory, rejected = listing(
        zipped(path, [*((name, b"") for name in clutter), (special("dog", stat.S_IFDIR), b""), ("cat/1.png", b"")])
    )

    assert (list(directory.places), rejected) == (["cat/1.png"], {})
    assert directory.ignored.count == 5
    assert sorted(directory.ignored.examples) == sorted(clutter[1:])


def assert_places_are_right(path: Path) -> None:
    """Compare the places with what Python's zipfile reads."""
    places = listing(path)[0].places
    with zipfile.ZipFile(path) as archive:
        assert list(places) == archive.namelist()
        for info in archive.infolist():
            place = places[info.filename]
            assert (place.start, place.packed, place.size) == (info.header_offset, info.compress_size, info.file_size)
            assert (place.method, place.crc) == (info.compress_type, info.CRC)


def test_an_archive_after_other_bytes_and_before_a_comment_is_read(path: Path) -> None:
    zipped(path, {"cat/1.png": png(), "cat/2.png": b""})
    path.write_bytes(b"#!/bin/sh PK\5\6" + path.read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"a comment with PK\1\2 in it"

    assert_places_are_right(path)


def test_a_zip64_archive_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    zipped(path, {"cat/1.png": png(), "cat/2.png": png()})

    assert b"PK\6\6" in path.read_bytes()
    assert_places_are_right(path)


@pytest.mark.parametrize("extra", [b"\1\0\x20\0", b"\1\0\4\0abcd"], ids=["cut off", "too short for Zip64"])
def test_damaged_extra_fields_are_rejected(path: Path, extra: bytes) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    info.extra = b"\x99\x99\4\0abcd" + b"\0" * 8
    zipped(path, [(info, png())])
    start, found = path.read_bytes().rsplit(info.extra, 1)
    path.write_bytes(start + extra.ljust(16, b"\0") + found)

    with pytest.raises(BadArchive, match=r"damaged|overlap"):
        listed(patch(path, CENTRAL, 24, "<L", 0xFFFFFFFF))


def test_a_directory_that_is_cut_off_is_rejected(path: Path) -> None:
    zipped(path, {"cat/1.png": png(), "cat/2.png": png()})

    with pytest.raises(BadArchive, match="damaged"):
        listed(patch(path, CENTRAL, 28, "<H", 9999, entry=1))
