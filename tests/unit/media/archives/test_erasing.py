"""Members of an archive are overwritten in place, and all others can still be read."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from contract.errors import BadArchive
from media.archives.archive import Archive
from media.archives.erasing import blank_members
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from tests.support.images import LOCAL, patch, zipped

SECRET, OTHER = b"the secret " * 50, b"another one " * 50
SHA256 = hashlib.sha256(SECRET).hexdigest()
ANY = frozenset[int]()


def blanked(path: Path, sizes: frozenset[int] = ANY) -> int:
    return blank_members(path, SHA256, sizes, Limits())


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
@pytest.mark.parametrize("sizes", [ANY, frozenset({len(SECRET)})])
def test_a_zip_keeps_its_size_and_its_other_members(tmp_path: Path, method: int, sizes: frozenset[int]) -> None:
    # given an image twice, once in a folder that datasets ignore
    files = {"a/1": OTHER, "a/secret": SECRET, "__MACOSX/copy": SECRET, "a/2": OTHER + b"2"}
    path = zipped(tmp_path / "a.zip", files, method)
    before = path.read_bytes()

    assert blanked(path, sizes) == 2

    # then it is gone, the other members are the same, and it is damaged for a reader
    assert len(path.read_bytes()) == len(before)
    with zipfile.ZipFile(path) as archive:
        assert (archive.read("a/1"), archive.read("a/2")) == (OTHER, OTHER + b"2")
        for name in ("a/secret", "__MACOSX/copy"):
            with pytest.raises(Exception):  # noqa: B017  each method has its own error
                archive.read(name)
    with Archive(path, Limits(), Rejections()) as opened:
        assert opened.read("a/1") == OTHER
    assert blanked(path) == 0


def test_no_part_of_a_stored_member_is_left(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"a": OTHER, "b": SECRET, "c": OTHER}, zipfile.ZIP_STORED)

    blanked(path)

    assert b"secret" not in path.read_bytes()


def test_a_second_file_of_the_same_name_is_overwritten_too(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", [("a", OTHER), ("a", SECRET)], zipfile.ZIP_STORED)

    assert blanked(path) == 1
    assert b"secret" not in path.read_bytes()


def test_a_streamed_zip_with_descriptors_is_read_by_its_directory(tmp_path: Path) -> None:
    # given a zip written to a pipe: sizes follow the data, and headers have none
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("a", OTHER)
        archive.writestr("b", SECRET)
    path = tmp_path / "a.zip"
    path.write_bytes(pipe.getvalue())

    assert blanked(path) == 1
    assert b"secret" not in path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.read("a") == OTHER


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_keeps_its_other_members(tmp_path: Path, form: int) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in {"a/1": OTHER, f"a/{'long' * 20}": SECRET, "a/2": OTHER}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    assert blanked(path) == 1

    assert b"secret" not in path.read_bytes()
    with tarfile.open(path) as archive:
        contents = [archive.extractfile(member) for member in archive]
        assert [file.read() if file else None for file in contents] == [OTHER, bytes(len(SECRET)), OTHER]


def test_a_member_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"damaged": OTHER, "secret": SECRET})
    patch(path, LOCAL, 40, "<L", 0)

    assert blanked(path) == 1


def test_another_size_is_not_read(tmp_path: Path) -> None:
    assert blanked(zipped(tmp_path / "a.zip", {"secret": SECRET}), frozenset({1})) == 0


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")

    with pytest.raises(BadArchive):
        blanked(tmp_path / "a")
