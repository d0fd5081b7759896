"""PNG files: fast reading, without metadata, with wrong checksums of it, and the repair of files that are cut off."""

import struct
import zlib

import numpy as np
from kornia_rs.io import decode_image_png_u8
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from contract.errors import BadImage
from media.images.limits import LARGE
from media.images.png_chunks import TEXT, Chunk, chunks_of, file_of, is_needed
from media.images.source import DAMAGE, Request, Source, check_rows, loaded, opened

_REPAIRABLE = 256 * 2**20  # bytes of pixels
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_TRANSPARENT = {0: 2, 2: 6}  # bytes of tRNS by colour type; shorter ones are ignored, as by libpng
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PLAIN = {0: "mono", 2: "rgb", 6: "rgba"}  # by colour type


def png_source(data: bytes, request: Request) -> Source:
    """Return a PNG; of its metadata only the orientation is read.

    A wrong checksum is ignored in image data and metadata, and an error in the header and the palette, as in Pillow
    with LOAD_TRUNCATED_IMAGES. A file that is cut off in its last tenth of rows is repaired: these become zero.
    """
    every_chunk = list(chunks_of(data))
    chunks = [chunk for chunk in every_chunk if is_needed(chunk)]
    if not chunks or chunks[0].kind != b"IHDR" or len(chunks[0].data) != 13:
        raise BadImage("the PNG image's header is damaged")
    colour = chunks[0].data[9]
    chunks = [chunk for chunk in chunks if chunk.kind != b"tRNS" or len(chunk.data) >= _TRANSPARENT.get(colour, 0)]
    whole = chunks[-1].kind == b"IEND"
    if whole and _is_plain(every_chunk):
        return _plain_source(data, chunks, request)
    return _source(chunks, whole, request)


def _source(chunks: list[Chunk], whole: bool, request: Request) -> Source:
    """Return the source of any PNG, which Pillow decodes."""
    image = opened(PngImageFile, file_of(chunks))
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


def _is_plain(chunks: list[Chunk]) -> bool:
    """Return whether the PNG has samples of 8 bits, no palette, and one image whose orientation is known in advance."""
    kinds = [chunk.kind for chunk in chunks]
    if kinds[0] != b"IHDR" or b"IDAT" not in kinds:
        return False
    width, height, depth, colour, compression, filtering, interlaced = struct.unpack(">IIBBBBB", chunks[0].data)
    pixels = kinds.index(b"IDAT")
    return (
        0 < width * height <= LARGE
        and (depth, compression, filtering, interlaced) == (8, 0, 0, 0)
        and colour in _PLAIN
        and not {b"acTL", b"tRNS"}.intersection(kinds)
        and not any(chunk.kind == b"eXIf" or chunk.kind in TEXT for chunk in chunks[pixels:])
    )


def _plain_source(data: bytes, chunks: list[Chunk], request: Request) -> Source:
    """Return the source of a plain PNG, which image-png decodes in a third of Pillow's time, to the same pixels.

    It checks the checksum of each chunk; Pillow decodes what it refuses. It holds the GIL, so larger images are left to
    Pillow.
    """
    width, height, _, colour, *_ = struct.unpack(">IIBBBBB", chunks[0].data)
    metadata = [chunk for chunk in chunks if chunk.kind == b"eXIf" or chunk.kind in TEXT]
    start = [chunks[0], *metadata, Chunk(b"IDAT", b"", True), Chunk(b"IEND", b"", True)]
    info = opened(PngImageFile, file_of(start)).info if metadata else {}

    def load() -> tuple[Image.Image, bool]:
        if (pixels := _decoded(data, height, width, _PLAIN[colour])) is None:
            return _source(chunks, True, request).load()
        image = Image.fromarray(pixels[:, :, 0] if colour == 0 else pixels)
        image.info = info
        return image, False

    return Source(width, height, width * height, load)


def _decoded(data: bytes, height: int, width: int, samples: str) -> np.ndarray | None:
    """Return the pixels as uint8 (height, width, samples); None for a file that image-png refuses."""
    try:
        return np.asarray(decode_image_png_u8(data, (height, width), samples))
    except Exception:  # noqa: BLE001  the only class that the library raises
        return None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust; the class cannot be imported
            raise
        return None


def _repaired(chunks: list[Chunk], height: int, request: Request) -> bytes:
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
    whole = zlib.compress(pixels[: total - missing * row].ljust(total, b"\0"), 1)
    before = [chunk for chunk in chunks if chunk.kind not in (b"IDAT", b"IEND")]
    return file_of([*before, Chunk(b"IDAT", whole, True), Chunk(b"IEND", b"", True)])


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
