"""What the header of an image file says, without decoding its pixels."""

import struct
from typing import NamedTuple

import simplejpeg

from media.images.formats import source_of
from media.images.limits import max_pixels
from media.images.source import Request

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">16xIIxB")


class Header(NamedTuple):
    """Width and height in pixels, as stored, before EXIF orientation; `grey` if the file is known to have no colour."""

    width: int
    height: int
    grey: bool


def read_header(data: bytes) -> Header:
    """Return the header of an image file, for which its first part may be enough; raises BadImage."""
    if data.startswith(_JPEG):
        try:
            height, width, colorspace, _ = simplejpeg.decode_jpeg_header(data)
        except ValueError:
            pass
        else:
            return Header(width, height, colorspace == "Gray")
    if data.startswith(_PNG) and len(data) >= _PNG_HEADER.size:
        width, height, colour = _PNG_HEADER.unpack_from(data)
        return Header(width, height, colour in (0, 4))
    source = source_of(data, Request(1, max_pixels()))
    return Header(source.width, source.height, grey=False)
