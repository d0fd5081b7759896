"""A compressed tar is unpacked within limits, whatever its name."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from contract.errors import BadArchive
from media.archives.archive import Archive
from media.archives.limits import MIB, Limits
from media.archives.rejections import Rejections
from media.archives.unpacking import unpacked
from tests.support.images import png, zipped
from tests.unit.media.archives.test_tar_directory import tarred

FILES = {f"cat/{number}.png": png(number) for number in range(20)}
COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "upload.zip"


@pytest.fixture
def plain(tmp_path: Path) -> bytes:
    return tarred(tmp_path / "plain", FILES).read_bytes()


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_the_content_tells_the_compression(path: Path, plain: bytes, kind: str) -> None:
    path.write_bytes(COMPRESSIONS[kind](plain))

    with Archive(path, Limits(), Rejections()) as archive:
        assert {name: archive.read(name) for name in archive.names} == FILES
    assert {file.name for file in path.parent.iterdir()} == {"upload.zip", "plain"}


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_streams_one_after_another_are_one_file(path: Path, plain: bytes, kind: str) -> None:
    middle = len(plain) // 2 + 7
    path.write_bytes(COMPRESSIONS[kind](plain[:middle]) + COMPRESSIONS[kind](plain[middle:]))

    with Archive(path, Limits(), Rejections()) as archive:
        assert archive.read("cat/19.png") == FILES["cat/19.png"]


def test_other_files_are_not_unpacked(path: Path, tmp_path: Path) -> None:
    zipped(path, FILES)

    assert unpacked(path, tmp_path / "target", Limits()) == path
    assert not (tmp_path / "target").exists()


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_compressed_tar_that_is_cut_off_is_rejected(path: Path, plain: bytes, kind: str, share: float) -> None:
    data = COMPRESSIONS[kind](plain)
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(BadArchive, match="damaged or cut off"):
        Archive(path, Limits(), Rejections())
    assert {file.name for file in path.parent.iterdir()} == {"upload.zip", "plain"}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_bomb_is_rejected_before_it_fills_the_disk(path: Path, tmp_path: Path, kind: str) -> None:
    path.write_bytes(COMPRESSIONS[kind](tarred(tmp_path / "plain", {"a": bytes(40 * MIB)}).read_bytes()))

    with pytest.raises(BadArchive, match="inflates to over 200 times its compressed size"):
        Archive(path, Limits(member_bytes=MIB), Rejections())


def test_the_limit_of_all_files_applies(path: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(MIB)
    path.write_bytes(gzip.compress(tarred(tmp_path / "plain", {"a": noise}).read_bytes(), 1))

    with pytest.raises(BadArchive, match="inflates to over 1000 bytes; send fewer or smaller images"):
        Archive(path, Limits(total_bytes=1000, members=10), Rejections())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (gzip.compress(b"text"), "a compressed file, but no tar in it"),
        (gzip.compress(png()), "a compressed file, but no tar in it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a 7z file, which is not read; send a zip or tar file"),
        (b"Rar!\x1a\x07\x01\0" + bytes(100), "a RAR file"),
        (b"\x1f\x9d\x90" + bytes(100), r"a compress \(\.Z\) file"),
        (b"\x1f\x8b\x08", "damaged or cut off"),
    ],
)
def test_other_compressed_files_are_rejected_with_what_to_send(path: Path, data: bytes, reason: str) -> None:
    path.write_bytes(data)

    with pytest.raises(BadArchive, match=reason):
        Archive(path, Limits(), Rejections())
