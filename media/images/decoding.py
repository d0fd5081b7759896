"""Decodes image files to pixels, identically for training and serving."""

from typing import NamedTuple

import numpy as np
import simplejpeg

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images.formats import source_of
from media.images.jpeg import is_slow
from media.images.limits import max_pixels as configured_max_pixels
from media.images.limits import turn
from media.images.resizing import fitted
from media.images.source import DAMAGE, Request

_JPEG_START = b"\xff\xd8\xff"
_ORIENTATION = (b"Exif\0\0", b"tiff:Orientation")  # metadata that may rotate the image


class DecodedImage(NamedTuple):
    """Pixels as uint8 (channels, height, width), and the file's width and height as stored, before its orientation.

    `repaired` says that the file is cut off near its end, and that the missing rows were filled.
    """

    pixels: np.ndarray
    width: int
    height: int
    repaired: bool


def decode(data: bytes, spec: ImageSpec, *, strict: bool = False, max_pixels: int | None = None) -> np.ndarray:
    """Return the pixels of `decode_image`."""
    return decode_image(data, spec, strict=strict, max_pixels=max_pixels).pixels


def decode_image(data: bytes, spec: ImageSpec, *, strict: bool = False, max_pixels: int | None = None) -> DecodedImage:
    """Decode an image file to contiguous uint8 (channels, height, width); raises BadImage.

    EXIF orientation is applied, transparency becomes black (as the padding of `pad`), 16-bit greyscale is scaled to
    8 bits, colour becomes grey by ITU-R 601-2 luma, and only the first frame of an animation is used. The size in the
    header is checked against `max_pixels` (default: the setting) before any pixel is decoded. A file that is cut off
    is repaired if 90 % of its rows are there, unless `strict`.
    """
    if (plain := decode_plain(data, spec)) is not None:
        height, width = spec.size
        return DecodedImage(plain, width, height, False)
    limit = configured_max_pixels() if max_pixels is None else max_pixels
    # Twice the target keeps enough detail for the resize filter.
    source = source_of(data, Request(2 * max(spec.size), limit, strict))
    if source.cost > limit:
        allowed = limit * source.width * source.height // source.cost
        raise BadImage(f"the image has {source.width} x {source.height} pixels; the limit is {allowed} in all")
    with turn(source.cost):
        image, repaired = source.load()
        try:
            pixels = fitted(image, spec)
        except DAMAGE as error:
            raise BadImage("the image is damaged or cut off") from error
    return DecodedImage(pixels, source.width, source.height, repaired)


def decode_plain(data: bytes, spec: ImageSpec) -> np.ndarray | None:
    """Decode a plain RGB JPEG that already has the size of `spec` with libjpeg-turbo; None for any other file.

    The result is contiguous uint8 (3, height, width), identical to that of Pillow, which uses the same library with the
    same transform and upsampling but takes four times as long.
    """
    if spec.mode != "RGB" or not data.startswith(_JPEG_START) or any(mark in data for mark in _ORIENTATION):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width) != spec.size or colorspace != "YCbCr" or is_slow(data, height * width):
            return None
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, strict=True)
    except ValueError:
        return None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
