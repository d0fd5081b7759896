"""Files of a zip are read within limits, or rejected singly or with the whole archive."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from contract.errors import BadArchive, BadImage
from media.archives.archive import Archive
from media.archives.limits import MIB, Limits
from media.archives.places import read_member
from media.archives.rejections import Rejections
from tests.support.images import CENTRAL, LOCAL, patch, png, zipped

DEFAULT = Limits()


def opened(path: Path, limits: Limits = DEFAULT) -> tuple[Archive, dict[str, str]]:
    """Open an archive; returns it with the reasons of rejected files."""
    rejections = Rejections()
    archive = Archive(path, limits, rejections)
    return archive, {item.file: item.reason for item in rejections.first()}


def by_windows(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 0
    return info


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "upload.zip"


def test_files_are_read_by_clean_names(path: Path) -> None:
    archive, rejected = opened(zipped(path, {"./cat/1.png": b"one", "dog/2.png": b"two"}))

    assert archive.names == ("cat/1.png", "dog/2.png")
    assert [archive.read(name) for name in archive.names] == [b"one", b"two"]
    assert not rejected


def test_a_file_can_be_read_twice(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": b"one"}))

    assert archive.read("a") == archive.read("a") == b"one"


def test_exceeding_the_total_limit_rejects_the_archive(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": bytes(600), "b": bytes(600)}), Limits(total_bytes=1000))

    assert len(archive.read("a")) == 600
    with pytest.raises(BadArchive, match="inflates to over 1000 bytes"):
        archive.read("b")


def test_member_over_its_limit_is_rejected_alone(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": bytes(101), "b": bytes(100)}), Limits(member_bytes=100, total_bytes=100))

    with pytest.raises(BadImage, match="inflates to over 100 bytes"):
        archive.read("a")
    assert len(archive.read("b")) == 100


def test_thousandfold_member_is_rejected_before_it_is_inflated(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": bytes(50 * MIB)}), Limits(total_bytes=12 * MIB))

    with pytest.raises(BadImage, match="over 200 times its compressed size"):
        archive.read("a")


def test_ratio_of_small_files_does_not_matter(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": bytes(MIB)}))

    assert len(archive.read("a")) == MIB


@pytest.mark.parametrize("declared", [0, 999, 1001], ids=["none", "less", "more"])
def test_wrong_declared_size_is_detected(path: Path, declared: int) -> None:
    zipped(path, {"a": bytes(1000)})
    patch(path, LOCAL, 22, "<L", declared)

    archive, _ = opened(patch(path, CENTRAL, 24, "<L", declared))

    with pytest.raises(BadImage, match="not what the archive declares"):
        archive.read("a")


def test_limit_applies_to_the_real_size_of_a_member(path: Path) -> None:
    zipped(path, {"a": bytes(1000)})

    archive, _ = opened(patch(path, CENTRAL, 24, "<L", 10), Limits(member_bytes=500))

    with pytest.raises(BadImage, match="inflates to over 500 bytes"):
        archive.read("a")


@pytest.mark.parametrize(
    ("signature", "offset", "layout", "value"),
    [
        pytest.param(CENTRAL, 16, "<L", 1234, id="CRC"),
        pytest.param(LOCAL, 0, "<B", 0, id="signature"),
        pytest.param(LOCAL, 28, "<H", 0xFFFF, id="place"),
        pytest.param(LOCAL, 31, "<B", 0xFF, id="deflate"),
    ],
)
def test_damaged_member_is_rejected_alone(path: Path, signature: bytes, offset: int, layout: str, value: int) -> None:
    patch(zipped(path, {"a": b"one", "b": b"two"}), signature, offset, layout, value)

    archive, _ = opened(path)

    with pytest.raises(BadImage, match="damaged in the archive"):
        archive.read("a")
    assert archive.read("b") == b"two"


@pytest.mark.parametrize("value", [0, ord("b"), 0xFF])
def test_the_name_in_the_directory_counts_and_not_that_before_the_data(path: Path, value: int) -> None:
    archive, _ = opened(patch(zipped(path, {"a": b"one", "b": b"two"}), LOCAL, 30, "<B", value))

    assert [archive.read(name) for name in archive.names] == [b"one", b"two"]


def test_stored_members_are_read(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": b"one"}, zipfile.ZIP_STORED))

    assert archive.read("a") == b"one"


def test_content_that_looks_like_a_directory_is_read(path: Path) -> None:
    archive, _ = opened(zipped(path, {"a": CENTRAL * 5}, zipfile.ZIP_STORED), Limits(members=1))

    assert archive.read("a") == CENTRAL * 5


def test_names_that_leave_the_folder_are_rejected_and_nothing_is_written(path: Path) -> None:
    bad = ["../out.png", "cat/../../out.png", "/tmp/out.png", "C:\\out.png", "..\\out.png"]

    archive, rejected = opened(zipped(path, [(by_windows(name), png()) for name in [*bad, "cat/1.png"]]))

    assert archive.read("cat/1.png") == png()
    assert set(rejected) == {"../out.png", "cat/../../out.png", "/tmp/out.png", "C:/out.png"}
    assert archive.names == ("cat/1.png",)
    assert list(path.parent.iterdir()) == [path]


def test_second_file_with_the_same_name_is_rejected(path: Path) -> None:
    archive, rejected = opened(zipped(path, [("a/1", b"one"), (by_windows("a\\1"), b"two"), ("a/1", b"three")]))

    assert archive.read("a/1") == b"one"
    assert rejected == {"a/1": "a second file of this name"}


def test_a_backslash_separates_folders_only_in_zips_made_on_windows(path: Path) -> None:
    archive, _ = opened(zipped(path, [(by_windows("cat\\1.png"), b"one"), ("dog\\2.png", b"two")]))

    assert archive.names == ("cat/1.png", "dog\\2.png")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_can_be_read_from_its_place_alone(path: Path, method: int) -> None:
    archive, _ = opened(zipped(path, {"a": png(1), "b": png(2)}, method))

    for name, content in [("a", png(1)), ("b", png(2))]:
        place = archive.place(name)
        assert read_member(path.read_bytes()[place.start : place.stop], place, DEFAULT) == content


def test_a_zip_may_follow_other_data(path: Path) -> None:
    data = zipped(path, {"a": png(1), "b": png(2)}).read_bytes()
    path.write_bytes(b"#!/bin/sh\n" * 1000 + data)

    archive, _ = opened(path)

    for name, content in [("a", png(1)), ("b", png(2))]:
        place = archive.place(name)
        assert archive.read(name) == content
        assert read_member(path.read_bytes()[place.start : place.stop], place, DEFAULT) == content


def test_sizes_may_follow_the_data_as_streamed_zips_have_them(path: Path) -> None:
    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.data += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for seed, name in enumerate("ab"):
            archive.writestr(name, png(seed))
    path.write_bytes(stream.data)

    result, _ = opened(path)

    assert [result.read(name) for name in result.names] == [png(0), png(1)]


def test_the_first_bytes_of_a_member_are_read_alone(path: Path) -> None:
    content = bytes(range(256)) * 40

    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        archive, _ = opened(zipped(path, {"a": content}, method))
        assert archive.head("a", 1000)[:1000] == content[:1000]
        assert archive.head("a", None) == content
        assert archive.inflated == 0
