"""Orients, resizes and converts decoded images to the pixels of an ImageSpec."""

import numpy as np
from PIL import Image, ImageOps
from PIL.ExifTags import Base

from contract.images import ImageSpec, Mode
from media.images.source import DAMAGE

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


def fitted(image: Image.Image, spec: ImageSpec) -> np.ndarray:
    """Return contiguous uint8 (channels, height, width), upright and on black."""
    pixels = np.asarray(_flat(_resized(upright(_resizable(image, spec.mode)), spec), spec.mode))
    return np.ascontiguousarray(pixels.reshape(*spec.size, -1).transpose(2, 0, 1))


def _resizable(image: Image.Image, mode: Mode) -> Image.Image:
    """Convert to a mode whose samples can be averaged: L, RGB, or RGBa (colours premultiplied by alpha)."""
    if image.mode.startswith("I;16"):
        table = _GREY16_TO_GREY8.copy()
        if (transparent := image.info.get("transparency")) is not None:
            table[transparent] = 0
        return Image.fromarray(table[np.asarray(image)])
    if image.has_transparency_data:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        opaque = image.getchannel("A").getextrema() == (255, 255)
        return image.convert("RGB" if opaque else "RGBa")
    return image if image.mode == mode else image.convert(mode)


def upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation."""
    try:
        orientation = image.getexif().get(Base.Orientation)
    except DAMAGE:  # the pixels may be intact although the EXIF block is damaged
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
