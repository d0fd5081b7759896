"""Unpacks a compressed tar to a plain one, within limits."""

import bz2
import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from contract.errors import BadArchive
from media.archives import tar_directory
from media.archives.compression import DAMAGE, MOST_MEMORY, zstd
from media.archives.limits import MIB, Limits

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
_OTHERS = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "RAR", b"\x1f\x9d": "compress (.Z)", b"LZIP": "lzip"}
_MEMBER_BYTES = 4 * tar_directory.BLOCK  # headers and padding of one member


def unpacked(path: Path, target: Path, limits: Limits) -> Path:
    """Write a compressed tar to `target` as a plain one and return that; return the path of any other file as it is.

    The compression is told by the content: gzip, bzip2, xz or Zstandard. Raises BadArchive.
    """
    with path.open("rb") as file:
        start = file.read(8)
        for signature, name in _OTHERS.items():
            if start.startswith(signature):
                raise BadArchive(f"a {name} file, which is not read; send a zip or tar file")
        if not start.startswith((_GZIP, _BZIP2, _XZ, _ZSTD)):
            return path
        file.seek(0)
        try:
            _write(target, _checked(_inflated(file, start)), file, limits)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
    return target


def _write(target: Path, chunks: Iterator[bytes], compressed: BinaryIO, limits: Limits) -> None:
    most = limits.total_bytes + limits.members * _MEMBER_BYTES
    size = 0
    with target.open("wb") as output:
        for chunk in chunks:
            size += len(chunk)
            if size > most:
                raise BadArchive(
                    f"the archive inflates to over {limits.total_bytes} bytes; send fewer or smaller images"
                )
            if size > limits.member_bytes and size > limits.ratio * compressed.tell():
                raise BadArchive(f"the archive inflates to over {limits.ratio} times its compressed size")
            output.write(chunk)
    if not tar_directory.is_tar(target):
        raise BadArchive("a compressed file, but no tar in it; send a zip or tar file")


def _checked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    try:
        yield from chunks
    except DAMAGE as error:
        raise BadArchive("the compressed file is damaged or cut off") from error


def _inflated(file: BinaryIO, start: bytes) -> Iterator[bytes]:
    if start.startswith(_XZ):
        yield from _xz(file)
    elif start.startswith(_ZSTD):
        yield from zstd(file)
    else:
        with gzip.GzipFile(fileobj=file) if start.startswith(_GZIP) else bz2.BZ2File(file) as stream:
            while chunk := stream.read(MIB):
                yield chunk


def _xz(file: BinaryIO) -> Iterator[bytes]:
    """Inflate the streams of an xz file one after another, with bounded memory, unlike LZMAFile."""
    data = file.read(MIB)
    while data:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY)
        while not decompressor.eof:
            yield decompressor.decompress(data, MIB)
            data = file.read(MIB) if decompressor.needs_input else b""
            if decompressor.needs_input and not data and not decompressor.eof:
                raise EOFError
        data = (decompressor.unused_data or file.read(MIB)).lstrip(b"\0")
