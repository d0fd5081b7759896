"""TIFF files: the first page, in the compressions and sample formats that are safe and well defined."""

import struct

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from contract.errors import BadImage
from media.images.source import Request, Source, loaded, opened

_COMPRESSIONS = (
    "raw",
    "tiff_ccitt",
    "group3",
    "group4",
    "tiff_lzw",
    "jpeg",
    "tiff_deflate",
    "tiff_adobe_deflate",
    "packbits",
)
_MODES = ("1", "L", "P", "LA", "La", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "I;16", "I;16B", "I", "F")
_MOST_TAGS, _MOST_VALUES = 1000, 200_000  # values: a strip for each row, or tiles of 64 x 64 in the largest image
_MOST_TILE = 16 * 2**20  # pixels
_BYTE_TYPES = (1, 2, 6, 7)
_SUBFILE, _BITS, _COMPRESSION, _PHOTOMETRIC, _TILE_WIDTH, _TILE_HEIGHT, _DNG = 254, 258, 259, 262, 322, 323, 50706
_REDUCED = 1  # in _SUBFILE: a smaller version of another image in the file


def tiff_source(data: bytes, request: Request) -> Source:
    """Return the first page; Pillow applies its orientation.

    Samples of more than 8 bits are scaled to 8. Floating-point samples are taken as 0..1, or as 0..255 if any is
    over 1, and other ranges are refused, as are signed and 32-bit integers beyond 0..255.
    """
    _check_directory(data)
    image = opened(TiffImageFile, data)
    tags = image.tag_v2
    if _DNG in tags or (isinstance(kind := tags.get(_SUBFILE, 0), int) and kind & _REDUCED):
        raise BadImage("a raw photo (DNG, NEF, ARW or alike), or a preview; develop it and save it as JPEG")
    compression = image._compression
    if compression not in _COMPRESSIONS:
        raise BadImage(f"a TIFF compressed by {compression}; save it with LZW, Deflate or no compression")
    if image.mode not in _MODES:
        raise BadImage(f"a TIFF in the colours {image.mode}; save it as RGB or grey")
    tile = tags.get(_TILE_WIDTH, 1), tags.get(_TILE_HEIGHT, 1)
    if not all(isinstance(side, int) for side in tile) or tile[0] * tile[1] > _MOST_TILE:
        raise BadImage("the TIFF has tiles that are too large; save it without tiles")
    bits, white_is_zero = tags.get(_BITS, (1,))[0], tags.get(_PHOTOMETRIC, 0) == 0
    width, height = image._tile_size
    return Source(width, height, 2 * width * height, lambda: (_eight_bits(loaded(image), bits, white_is_zero), False))


def _check_directory(data: bytes) -> None:
    """Raise BadImage if the directory of the first page would take too much memory to read."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    entry, count_type, size = (order + "HHQ", "Q", 20) if big else (order + "HHI", "H", 12)
    try:
        (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        (count,) = struct.unpack_from(order + count_type, data, start)
        start += struct.calcsize(order + count_type)
        if count > _MOST_TAGS:
            raise BadImage("the TIFF image's header is damaged")
        for number in range(count):
            _, kind, values = struct.unpack_from(entry, data, start + number * size)
            if kind not in _BYTE_TYPES and values > _MOST_VALUES:
                raise BadImage("the TIFF has too many strips or tiles; save it with larger ones")
    except struct.error:
        raise BadImage("the TIFF image's header is damaged") from None


def _eight_bits(image: Image.Image, bits: int, white_is_zero: bool) -> Image.Image:
    """Return the image with samples of 8 bits, black as 0."""
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("I", "F"):
        result = Image.fromarray(_scaled(np.asarray(image)))
    elif image.mode.startswith("I;16"):
        limit = 2**bits - 1
        table = ((np.arange(65536).clip(0, limit) * 255 + limit // 2) // limit).astype(np.uint8)
        result = Image.fromarray(table[np.asarray(image)])
    else:
        return image  # Pillow has inverted it
    return Image.eval(result, lambda value: 255 - value) if white_is_zero else result


def _scaled(samples: np.ndarray) -> np.ndarray:
    low, high = float(samples.min()), float(samples.max())
    if not (low >= 0 and high <= 255):
        raise BadImage(
            f"a TIFF with samples from {low:g} to {high:g}; save it with 8 or 16 unsigned bits, or scale it to 0 to 1"
        )
    scale = 255 if samples.dtype.kind == "f" and high <= 1 else 1
    return np.asarray(np.rint(samples * scale), np.uint8)
