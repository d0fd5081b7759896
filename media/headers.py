"""What the header of an image file says, without decoding its pixels."""

import io
import struct
from typing import NamedTuple

import simplejpeg
from PIL import Image

from media.images import _DAMAGE, FORMATS

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">16xII1xB")
_GREY_MODES = frozenset({"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


class Header(NamedTuple):
    """Width and height in pixels, as stored, before EXIF orientation; `grey` if the file stores no colour at all."""

    width: int
    height: int
    grey: bool


def read_header(data: bytes) -> Header | None:
    """Return the header of an image file, of which the first part may be enough; None if it cannot be read."""
    if data.startswith(_JPEG):
        try:
            height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data, strict=False)
        except ValueError:
            pass
        else:
            return Header(width, height, colorspace == "Gray")
    elif data.startswith(_PNG) and len(data) >= _PNG_HEADER.size:
        width, height, colour = _PNG_HEADER.unpack_from(data)
        return Header(width, height, colour in (0, 4))
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except _DAMAGE:
        return None
    return Header(*image.size, image.mode in _GREY_MODES)
