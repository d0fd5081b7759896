"""Copies of images for people to look at: upright, and without metadata."""

import io
import zlib

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

from contract.errors import BadImage
from media.images.formats import source_of
from media.images.limits import turn
from media.images.resizing import upright
from media.images.source import DAMAGE, Request

SIDE = 2048  # pixels that the longer side of a copy has at most: encoding more would take seconds
MOST_PIXELS = 32 << 20  # of an image that is decoded; a JPEG is decoded at a reduced scale
MOST_BYTES = 16 << 20  # of a copy
QUALITY = 95  # of JPEG: differences that nobody sees
_LOSSY = (b"\xff\xd8\xff", b"RIFF", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  ")  # JPEG, WebP, JPEG 2000
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def clean_copy(data: bytes) -> bytes:
    """Return an image again, upright and without EXIF, XMP, colour profile, comments, thumbnails and text.

    A copy has at most SIDE x SIDE pixels; a larger image is reduced, with its proportions. A JPEG stays a JPEG and a
    PNG a PNG. Other lossless formats become PNG; lossy ones JPEG, or PNG if they have transparent pixels. Only the
    first frame of an animation is kept. Raises BadImage, also for an image that is too large.
    """
    source = source_of(data, Request(SIDE // 2, MOST_PIXELS))
    if source.cost > MOST_PIXELS:
        raise BadImage(f"the image has {source.width} x {source.height} pixels, too many for a copy")
    try:
        with turn(source.cost, source.alone):
            image, _ = source.load()
            sampling = get_sampling(image) if isinstance(image, JpegImageFile) else -1  # -1 is the encoder's default
            pixels = upright(_reduced(image))
        copy = _encoded(pixels, sampling, data.startswith(_LOSSY) or data[4:8] == b"ftyp")
    except DAMAGE as error:
        raise BadImage("the image is damaged or cut off") from error
    if len(copy) > MOST_BYTES:
        raise BadImage(f"the copy of the image has {len(copy)} bytes; the limit is {MOST_BYTES}")
    return copy


def _reduced(image: Image.Image) -> Image.Image:
    """Reduce an image whose longer side is above SIDE; it keeps its metadata."""
    if max(image.size) <= SIDE:
        return image
    if image.mode in ("1", "P"):  # their pixels cannot be averaged
        image = image.convert("L" if image.mode == "1" else "RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BICUBIC, reducing_gap=None)
    return image


def _encoded(pixels: Image.Image, sampling: int, lossy: bool) -> bytes:
    transparent = pixels.has_transparency_data
    pixels.info = {key: value for key, value in pixels.info.items() if key == "transparency"}  # or it would be written
    file = io.BytesIO()
    if lossy and not transparent:
        picture = pixels if pixels.mode in ("L", "RGB") else pixels.convert("RGB")
        picture.save(file, "JPEG", quality=QUALITY, subsampling=sampling)
    else:
        _for_png(pixels, transparent).save(file, "PNG", compress_level=3, compress_type=zlib.Z_RLE)
    return file.getvalue()


def _for_png(image: Image.Image, transparent: bool) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    return image if image.mode in _PNG_MODES else image.convert("RGBA" if transparent else "RGB")
