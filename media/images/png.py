"""PNG files: reading without metadata, with wrong checksums of it, and the repair of files that are cut off."""

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from contract.errors import BadImage
from media.images.source import DAMAGE, Request, Source, check_rows, loaded, opened

_START = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_ROTATING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0", b"exif\0")  # texts that may hold the orientation
_METADATA = 2**20  # bytes of metadata that may rotate the image; larger ones are skipped
_REPAIRABLE = 256 * 2**20  # bytes of pixels
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type


class _Chunk(NamedTuple):
    kind: bytes
    data: bytes
    complete: bool


def png_source(data: bytes, request: Request) -> Source:
    """Return a PNG; of its metadata only the orientation is read.

    A wrong checksum is ignored in image data and metadata, and an error in the header and the palette, as in Pillow
    with LOAD_TRUNCATED_IMAGES. A file that is cut off in its last tenth of rows is repaired: these become zero.
    """
    chunks = [chunk for chunk in _chunks(data) if _needed(chunk)]
    if not chunks or chunks[0].kind != b"IHDR" or len(chunks[0].data) != 13:
        raise BadImage("the PNG image's header is damaged")
    whole = chunks[-1].kind == b"IEND"
    image = opened(PngImageFile, _file(chunks))
    if image.mode == "P" and image.palette is None:
        raise BadImage("the image is damaged: it has no palette")
    width, height = image.size

    def load() -> tuple[Image.Image, bool]:
        if whole:
            try:
                return loaded(image), False
            except BadImage:
                pass
        return loaded(opened(PngImageFile, _repaired(chunks, height, request))), True

    return Source(width, height, width * height, load)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Yield the chunks up to IEND or to where the file ends or turns into something else."""
    position = len(_START)
    while position + 8 <= len(data):
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
        yield _Chunk(kind, payload, complete)
        if kind == b"IEND":
            return
        position += 12 + length


def _needed(chunk: _Chunk) -> bool:
    """Return whether a chunk can change the pixels that are decoded."""
    kind, data = chunk.kind, chunk.data
    if kind in _PIXELS:
        return chunk.complete or kind == b"IDAT"
    if len(data) > _METADATA or not chunk.complete:
        return False
    return kind == b"eXIf" or (kind in _TEXT and data.startswith(_ROTATING) and _is_small(kind, data))


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


def _file(chunks: list[_Chunk]) -> bytes:
    parts = [_START]
    for kind, data, _ in chunks:
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))]
    return b"".join(parts)


def _repaired(chunks: list[_Chunk], height: int, request: Request) -> bytes:
    """Return the file with the missing rows as zeros; raises BadImage if too many are missing."""
    width, _, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", chunks[0].data)
    bits = depth * _SAMPLES.get(colour, 4)
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    # (bytes of a row, rows, row of the image after the first one of the pass) for each pass that is not empty
    sizes = [
        (1 + (-(-(width - x) // across) * bits + 7) // 8, -(-(height - y) // down))
        for x, y, across, down in passes
        if x < width and y < height
    ]
    total = sum(row * rows for row, rows in sizes)
    if total > _REPAIRABLE:
        raise BadImage("the image is damaged or cut off")
    pixels = _inflated(b"".join(chunk.data for chunk in chunks if chunk.kind == b"IDAT"), total)
    row, rows = sizes[-1]
    missing = -(-(total - len(pixels)) // row)
    step = height // rows if rows else 1
    check_rows(max(0, height - missing * step) if missing <= rows else 0, height, request)
    whole = zlib.compress(pixels + bytes(total - len(pixels)), 1)
    before = [chunk for chunk in chunks if chunk.kind not in (b"IDAT", b"IEND")]
    return _file([*before, _Chunk(b"IDAT", whole, True), _Chunk(b"IEND", b"", True)])


def _inflated(data: bytes, size: int) -> bytes:
    """Inflate at most `size` bytes, up to where the data ends or is damaged."""
    inflater, pixels = zlib.decompressobj(), bytearray()
    try:
        for start in range(0, len(data), 1024):
            pixels += inflater.decompress(data[start : start + 1024], size - len(pixels))
            if inflater.eof or len(pixels) >= size:
                break
    except DAMAGE:
        pass
    return bytes(pixels)
