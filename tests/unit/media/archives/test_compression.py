"""Members are inflated whatever method the zip tool chose, or rejected with what to do."""

import bz2
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import inflate64
import numpy as np
import pyarrow as pa
import pytest

from contract.errors import BadImage
from media.archives.archive import Archive
from media.archives.limits import MIB, Limits
from media.archives.rejections import Rejections
from tests.support.images import CENTRAL, patch, zipped

DEFAULT = Limits()


def deflate64(data: bytes) -> bytes:
    deflater = inflate64.Deflater()
    return bytes(deflater.deflate(data) + deflater.flush())


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, "zstd", asbytes=True))


def raw_lzma(data: bytes, dictionary: int = 2**20) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 2**20}]
    header = b"\x09\x14\x05\x00\x5d" + dictionary.to_bytes(4, "little")
    return header + lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


METHODS = {9: deflate64, 12: bz2.compress, 14: raw_lzma, 20: zstd, 93: zstd, 95: lzma.compress}


def archive(
    folder: Path, method: int, compressed: bytes, content: bytes, size: int | None = None, limits: Limits = DEFAULT
) -> Archive:
    """Open a zip whose member `a` was compressed by another library; `b` is stored."""
    path = zipped(folder / "upload.zip", {"a": compressed, "b": b"two"}, zipfile.ZIP_STORED)
    patch(path, CENTRAL, 10, "<H", method)
    patch(path, CENTRAL, 16, "<L", zlib.crc32(content))
    patch(path, CENTRAL, 24, "<L", len(content) if size is None else size)
    return Archive(path, limits, Rejections())


CONTENTS = [b"", b"one", b"repeated " * 1000, np.random.default_rng(0).bytes(3 * MIB), b"text" * MIB]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("content", CONTENTS, ids=["empty", "short", "repeated", "noise", "large"])
def test_content_of_any_method_is_read(tmp_path: Path, method: int, content: bytes) -> None:
    compressed = METHODS[method](content)

    opened = archive(tmp_path, method, compressed, content, limits=Limits(ratio=100_000))

    assert opened.read("a") == content


@pytest.mark.parametrize("method", [8, *METHODS])
@pytest.mark.parametrize("damage", ["cut", "garbage", "nothing", "flipped"])
def test_damaged_content_is_rejected_alone(tmp_path: Path, method: int, damage: str) -> None:
    content = np.random.default_rng(0).bytes(10_000)
    compress: Callable[[bytes], bytes] = METHODS.get(method, lambda data: zlib.compress(data, wbits=-15))
    whole = compress(content)
    flipped = whole[:5000] + bytes([whole[5000] ^ 0xFF]) + whole[5001:]
    data = {"cut": whole[:5000], "garbage": b"\xff" * 5000, "nothing": b"", "flipped": flipped}[damage]

    opened = archive(tmp_path, method, data, content)

    with pytest.raises(BadImage, match=r"damaged in the archive|its size is not what|dictionary"):
        opened.read("a")
    assert opened.read("b") == b"two"


@pytest.mark.parametrize("method", METHODS)
def test_a_bomb_of_any_method_is_rejected_before_it_is_inflated(tmp_path: Path, method: int) -> None:
    content = bytes(20 * MIB)
    opened = archive(tmp_path, method, METHODS[method](content), content, size=1000)

    with pytest.raises(BadImage, match=r"over 200 times its compressed size|its size is not what"):
        opened.read("a")
    assert opened.inflated < 12 * MIB


def test_lzma_with_a_huge_dictionary_is_rejected(tmp_path: Path) -> None:
    opened = archive(tmp_path, 14, raw_lzma(b"one", 2**32 - 1), b"one")

    with pytest.raises(BadImage, match="dictionary of over 64 MiB; create the archive again"):
        opened.read("a")


@pytest.mark.parametrize(("method", "name"), [(1, "shrink"), (6, "implode"), (98, "PPMd"), (99, "AES"), (77, "77")])
def test_a_method_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, method: int, name: str) -> None:
    opened = archive(tmp_path, method, b"abc", b"one")

    with pytest.raises(BadImage, match=f"compressed by .*{name}.*create the archive again with deflate"):
        opened.read("a")
    assert opened.read("b") == b"two"


def test_a_declared_compressed_size_over_the_limit_is_not_read(tmp_path: Path) -> None:
    opened = archive(tmp_path, 8, bytes(10_000), b"one", limits=Limits(member_bytes=1000))

    with pytest.raises(BadImage, match="inflates to over 1000 bytes"):
        opened.read("a")
