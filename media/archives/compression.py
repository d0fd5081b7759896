"""Inflates data by any method that zip files use, in chunks of bounded size."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Protocol

import inflate64

from contract.errors import BadImage
from media.archives.limits import MIB

DAMAGE = (zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, struct.error)
MOST_MEMORY = 160 * MIB  # of a decoder; xz -9 takes 65 MiB
_MOST_DICTIONARY = 64 * MIB
_DEFLATE64_STEP = 128  # bytes of input; each may inflate to 30,000
_UNREADABLE = {
    1: "shrink",
    6: "implode",
    10: "PKWARE implode",
    96: "JPEG variant",
    97: "WavPack",
    98: "PPMd",
    99: "AES encryption",
}


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def chunks(data: bytes, method: int, size: int) -> Iterator[bytes]:
    """Yield the inflated data; `size` is the declared one. Raise BadImage for an unknown method, DAMAGE if damaged."""
    match method:
        case 0:
            yield data
        case 8:
            yield from _deflate(data)
        case 9:
            yield from _deflate64(data)
        case 12:
            yield from _drained(bz2.BZ2Decompressor(), data)
        case 14:
            yield from _lzma(data, size)
        case 20 | 93:
            yield from zstd(data)
        case 95:
            yield from _drained(lzma.LZMADecompressor(lzma.FORMAT_XZ, MOST_MEMORY), data)
        case _:
            name = _UNREADABLE.get(method, f"method {method}")
            raise BadImage(f"compressed by {name}, which is not read; create the archive again with deflate, the usual")


def _deflate(data: bytes) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    chunk = inflater.decompress(data, MIB)
    yield chunk
    while not inflater.eof:
        chunk = inflater.decompress(inflater.unconsumed_tail, MIB)
        if not chunk and not inflater.eof:
            raise EOFError
        yield chunk


def _deflate64(data: bytes) -> Iterator[bytes]:
    inflater = inflate64.Inflater()
    pieces: list[bytes] = []
    size = 0
    for start in range(0, len(data), _DEFLATE64_STEP):
        piece = inflater.inflate(data[start : start + _DEFLATE64_STEP])
        pieces.append(piece)
        size += len(piece)
        if size >= MIB:
            yield b"".join(pieces)
            pieces, size = [], 0
        if inflater.eof:
            break
    if not inflater.eof:
        raise EOFError
    yield b"".join(pieces)


def _drained(decompressor: _Decompressor, data: bytes) -> Iterator[bytes]:
    yield decompressor.decompress(data, MIB)
    while not decompressor.eof:
        chunk = decompressor.decompress(b"", MIB)
        if not chunk and decompressor.needs_input:
            raise EOFError
        yield chunk


def _lzma(data: bytes, size: int) -> Iterator[bytes]:
    """Inflate raw LZMA; its end may be marked by nothing but the declared size (APPNOTE.TXT 5.8.8)."""
    _, _, properties, dictionary = struct.unpack_from("<HHBL", data)
    if dictionary > _MOST_DICTIONARY:
        raise BadImage("compressed by LZMA with a dictionary of over 64 MiB; create the archive again with deflate")
    rest, lc = divmod(properties, 9)
    pb, lp = divmod(rest, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": lc, "lp": lp, "pb": pb}]
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    chunk = decompressor.decompress(data[9:], MIB)
    done = len(chunk)
    yield chunk
    while done < size and not decompressor.eof:
        chunk = decompressor.decompress(b"", MIB)
        if not chunk:
            raise EOFError
        done += len(chunk)
        yield chunk


def zstd(source: object) -> Iterator[bytes]:
    """Inflate Zstandard from bytes or a binary file; the window of the library's decoder is at most 128 MiB."""
    import pyarrow as pa  # noqa: PLC0415  takes 100 ms, and few archives need it

    stream = pa.BufferReader(source) if isinstance(source, bytes) else pa.PythonFile(source, "r")
    with pa.CompressedInputStream(stream, "zstd") as inflated:
        while chunk := inflated.read(MIB):
            yield chunk
