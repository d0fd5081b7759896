"""The chunks of a PNG file, and which of them change the pixels."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from contract.errors import BadImage

_START = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
TEXT = (b"tEXt", b"zTXt", b"iTXt")
_ROTATING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"exif\0")  # texts that may hold the orientation
_MOST_CHUNKS = 2**17
_METADATA = 2**20  # bytes of metadata that may rotate the image; larger ones are skipped


class Chunk(NamedTuple):
    kind: bytes
    data: bytes
    complete: bool


def chunks_of(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to IEND or to where the file ends or turns into something else."""
    position = len(_START)
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, position)
        if not kind.isalpha():
            return
        payload = data[position + 8 : position + 8 + length]
        complete = position + 12 + length <= len(data)
        if kind == b"CgBI":
            raise BadImage("a PNG in Apple's own variant for iOS apps; convert it to a standard PNG")
        if kind in (b"IHDR", b"PLTE") and complete:
            (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
            if checksum != zlib.crc32(kind + payload):
                raise BadImage(f"the PNG is damaged: its chunk {kind.decode()} has a wrong checksum")
        yield Chunk(kind, payload, complete)
        if kind == b"IEND":
            return
        position += 12 + length
    raise BadImage("the PNG has too many chunks; save it again")


def is_needed(chunk: Chunk) -> bool:
    """Return whether a chunk can change the pixels that are decoded."""
    kind, data = chunk.kind, chunk.data
    if kind in _PIXELS:
        return chunk.complete or kind == b"IDAT"
    if len(data) > _METADATA or not chunk.complete:
        return False
    return kind == b"eXIf" or (kind in TEXT and data.startswith(_ROTATING) and _is_small(kind, data))


def file_of(chunks: list[Chunk]) -> bytes:
    """Return a file of the chunks, with right checksums."""
    parts = [_START]
    for kind, data, _ in chunks:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))]
    return b"".join(parts)


def _is_small(kind: bytes, data: bytes) -> bool:
    """Return whether a text has at most _METADATA bytes when it is inflated."""
    rest = data.partition(b"\0")[2]
    if kind == b"iTXt":
        compressed, rest = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
    else:
        compressed, rest = kind == b"zTXt", rest[1:]
    if not compressed:
        return True
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(rest, _METADATA - 1)
    except zlib.error:
        return False
    return inflater.eof
