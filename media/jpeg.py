"""The short way of the common picture: a plain RGB JPEG of the size that is wanted, straight through libjpeg-turbo."""

import numpy as np
import simplejpeg

from contract.images import ImageSpec

_SOI = b"\xff\xd8\xff"
_TURNED = (b"Exif\0\0", b"tiff:Orientation")  # what may say that the picture lies on its side


def decode_plain(data: bytes, spec: ImageSpec) -> np.ndarray | None:
    """The picture as contiguous uint8 (3, height, width), or None for whatever is not that plain or is damaged.

    Pillow asks the same library for the same transform and the same upsampling, so the pixels are the same; it takes
    four times as long, since it goes through an object, a file and a mode.
    """
    if spec.mode != "RGB" or not data.startswith(_SOI) or any(mark in data for mark in _TURNED):
        return None
    try:
        height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        if (height, width) != spec.size or colorspace != "YCbCr":
            return None
        pixels = simplejpeg.decode_jpeg(data, "RGB", fastdct=False, fastupsample=False, strict=True)
    except ValueError:
        return None
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))
