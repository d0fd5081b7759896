"""JPEG 2000 files, with limits on what OpenJPEG would allocate."""

import struct

from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from contract.errors import BadImage
from media.images.source import Request, Source, simple

_CODESTREAM = b"\xff\x4f\xff\x51"
_MOST_TILES = 4096
_MOST_COMPONENTS = 4
_WEIGHT = 4  # OpenJPEG keeps 4 bytes for each sample, twice
_MOST_BOXES = 1000


def jpeg2000_source(data: bytes, request: Request) -> Source:
    """Return a JPEG 2000 image, as a codestream or in a JP2 file; raises BadImage if its two headers differ."""
    damaged = BadImage("the JPEG 2000 image's header is damaged")
    try:
        fields = struct.unpack_from(">HHIIIIIIIIH", data, _codestream(data) + len(_CODESTREAM))
    except (struct.error, LookupError):
        raise damaged from None
    _, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = fields
    if not (left < right and top < bottom and tile_width and tile_height and tile_left <= left and tile_top <= top):
        raise damaged
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _MOST_TILES or components > _MOST_COMPONENTS:
        raise BadImage(f"a JPEG 2000 image of {tiles} tiles and {components} components; save it as JPEG or PNG")
    source = simple(Jpeg2KImageFile, data, _WEIGHT)
    if (source.width, source.height) != (right - left, bottom - top):
        raise damaged
    # Memory depends on the area that the tiles cover, which can be larger than the image.
    area = (right - tile_left) * (bottom - tile_top)
    return source._replace(cost=_WEIGHT * max(area, min(tile_width, right) * min(tile_height, bottom)))


def _codestream(data: bytes) -> int:
    """Return where the first codestream starts; raises LookupError or struct.error."""
    if data.startswith(_CODESTREAM):
        return 0
    position = 0
    for _ in range(_MOST_BOXES):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if kind == b"jp2c":
            if data[position + header : position + header + 4] != _CODESTREAM:
                raise LookupError
            return position + header
        if length < header:
            raise LookupError
        position += length
    raise LookupError
