"""Decodes image files to pixels, identically for training and serving."""

import io
import struct
import zlib

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ExifTags import Base
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from contract.errors import BadImage
from contract.images import ImageSpec, Mode

MAX_PIXELS = 64 * 2**20  # 9248 x 6936, a phone's "64 megapixels", fits
FORMATS = [str(plugin.format) for plugin in (JpegImageFile, PngImageFile, WebPImageFile, BmpImageFile)]

Image.MAX_IMAGE_PIXELS = None  # decode() has its own limit, which raises; Pillow only warns

# Pillow has no error type for damaged files; its parsers raise any of these.
_DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
)

_JPEG_START = b"\xff\xd8\xff"
_ORIENTATION = (b"Exif\0\0", b"tiff:Orientation")  # metadata that may rotate the image

_GREY16_TO_GREY8 = ((np.arange(65536) * 255 + 32767) // 65535).astype(np.uint8)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode(data: bytes, spec: ImageSpec, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a JPEG, PNG, WebP or BMP file to contiguous uint8 (channels, height, width); raises BadImage.

    EXIF orientation is applied, transparency becomes black (as the padding of `pad`), 16-bit greyscale is scaled to
    8 bits, colour becomes grey by ITU-R 601-2 luma, and only the first frame of an animation is used. The size in the
    header is checked against `max_pixels` before any pixel is decoded.
    """
    if (plain := decode_plain(data, spec)) is not None:
        return plain
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise BadImage("not a readable JPEG, PNG, WebP or BMP image") from None
    except _DAMAGE as error:
        raise BadImage("the image's header is damaged") from error
    width, height = image.size
    if width * height > max_pixels:
        raise BadImage(f"the image has {width} x {height} pixels; the limit is {max_pixels} in all")
    try:
        # Let libjpeg decode at reduced size; twice the target keeps enough detail for the resize filter.
        image.draft(None, (2 * max(spec.size), 2 * max(spec.size)))
        image.load()
    except _DAMAGE as error:
        raise BadImage("the image is damaged or cut off") from error
    if image.mode == "P" and image.palette is None:
        raise BadImage("the image is damaged: it has no palette")
    pixels = np.asarray(_flat(_resized(_upright(_resizable(image, spec.mode)), spec), spec.mode))
    return np.ascontiguousarray(pixels.reshape(*spec.size, -1).transpose(2, 0, 1))


def decode_plain(data: bytes, spec: ImageSpec) -> np.ndarray | None:
    """Decode a plain RGB JPEG that already has the size of `spec` with libjpeg-turbo; None for any other file.

    The result is contiguous uint8 (3, height, width), identical to that of Pillow, which uses the same library with the
    same transform and upsampling but takes four times as long.
    """
    if spec.mode != "RGB" or not data.startswith(_JPEG_START) or any(mark in data for mark in _ORIENTATION):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width) != spec.size or colorspace != "YCbCr":
            return None
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, strict=True)
    except ValueError:
        return None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _resizable(image: Image.Image, mode: Mode) -> Image.Image:
    """Convert to a mode whose samples can be averaged: L, RGB, or RGBa (colours premultiplied by alpha)."""
    if image.mode.startswith("I;16"):
        table = _GREY16_TO_GREY8.copy()
        if (transparent := image.info.get("transparency")) is not None:
            table[transparent] = 0
        return Image.fromarray(table[np.asarray(image)])
    if image.has_transparency_data:
        return image.convert("RGBA").convert("RGBa")
    return image if image.mode == mode else image.convert(mode)


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(Base.Orientation)
    except _DAMAGE:  # the pixels may be intact although the EXIF block is damaged
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _resized(image: Image.Image, spec: ImageSpec) -> Image.Image:
    """Resize to `spec`; Pillow's BILINEAR is antialiased, as its support grows with the reduction."""
    height, width = spec.size
    if image.size == (width, height):
        return image
    if spec.resize == "stretch":
        return image.resize((width, height), Image.Resampling.BILINEAR)
    if spec.resize == "crop":
        return ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    scale = min(width / image.width, height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _flat(image: Image.Image, mode: Mode) -> Image.Image:
    """Convert to `mode`; dropping the alpha of premultiplied colours puts the image on black."""
    if image.mode == "RGBa":
        image = Image.merge("RGB", image.split()[:3])
    return image if image.mode == mode else image.convert(mode)
