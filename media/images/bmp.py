"""BMP files: alpha channels that are not used, and run-length encoding in bounded time."""

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from contract.errors import BadImage
from media.images.source import Request, Source, check_rows, loaded, opened

_MOST_RUNS = 2**20  # about a second in Python; an encoder writes a run for up to 255 pixels


def bmp_source(data: bytes, request: Request) -> Source:
    """Return a BMP. An alpha channel of zeros only is unused, not transparent: many programs write it so.

    A file that is cut off in its last tenth of rows is repaired: these become black.
    """
    image = opened(BmpImageFile, data)
    width, height = image.size
    codec, _, offset, args = image.tile[0]
    if not isinstance(args, tuple):
        raise BadImage("the BMP image's header is damaged")
    if codec == "bmp_rle":
        return Source(width, height, width * height, lambda: (_run_length(image, data[offset:], args), False))
    needed, stride = offset + args[1] * height, args[1]

    def load() -> tuple[Image.Image, bool]:
        if (missing := needed - len(data)) <= 0:
            return _opaque(loaded(image)), False
        check_rows(max(0, height - -(-missing // stride)), height, request)
        return _opaque(loaded(opened(BmpImageFile, data + bytes(missing)))), True

    return Source(width, height, width * height, load)


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        return image.convert("RGB")
    return image


def _run_length(image: Image.Image, data: bytes, args: tuple[object, ...]) -> Image.Image:
    """Decode RLE8 or RLE4 as Pillow does, but in time that depends on the file's size only."""
    width, height = image.size
    four_bits, direction = args[1], args[2]
    indices = _indices(data, width, height, bool(four_bits))
    result = Image.fromarray(indices[::-1] if direction == -1 else indices)
    if image.palette is not None:
        result.putpalette(image.palette.palette, image.palette.rawmode or "RGB")
    return result


def _indices(data: bytes, width: int, height: int, four_bits: bool) -> np.ndarray:
    """Return the uint8 (height, width) palette indices, bottom row first; what the file leaves out is zero."""
    indices = np.zeros(width * height, np.uint8)
    read = place = column = 0  # `place` is where the next pixel goes, `column` its column as the runs count it
    for _ in range(_MOST_RUNS):
        if read + 2 > len(data) or place >= len(indices):
            break
        count, value = data[read], data[read + 1]
        read += 2
        if count:
            run = min(count, max(0, width - column), len(indices) - place)
            indices[place : place + run] = _nibbles(bytes([value]) * -(-run // 2))[:run] if four_bits else value
            place, column = place + run, column + run
        elif value == 0:
            place, column = -(-place // width) * width, 0
        elif value == 1:
            break
        elif value == 2:
            if read + 2 > len(data):
                break
            place, read = place + data[read] + data[read + 1] * width, read + 2
            column = place % width
        else:
            size = -(-value // 2) if four_bits else value
            pixels = _nibbles(data[read : read + size]) if four_bits else np.frombuffer(data[read : read + size], "u1")
            run = min(value, len(pixels), len(indices) - place)
            indices[place : place + run] = pixels[:run]
            place, column, read = place + run, column + value, read + size + size % 2
    else:
        raise BadImage("the BMP's run-length encoding is too long to decode; save the image as PNG")
    if place < len(indices) * 0.9 and read + 2 > len(data):
        raise BadImage("the image is damaged or cut off")
    return indices.reshape(height, width)


def _nibbles(data: bytes) -> np.ndarray:
    values = np.frombuffer(data, np.uint8)
    return np.stack([values >> 4, values & 15], axis=1).reshape(-1)
