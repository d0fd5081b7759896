"""JPEG 2000 files, with limits on what OpenJPEG would allocate."""

import struct

from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

from contract.errors import BadImage
from media.images.source import Request, Source, simple

_CODESTREAM = b"\xff\x4f\xff\x51"
_MOST_TILES = 4096
_MOST_COMPONENTS = 4
_WEIGHT = 4  # OpenJPEG keeps 4 bytes for each sample, twice
_MOST_PARTS = 1000  # boxes, or segments; Pillow reads them one by one in Python
_HEADER = 2**20  # bytes
_MOST_SEGMENTS = 2**14
_MOST_LEVELS = 32
_MOST_PACKETS = 2**20  # of a component
_LEAST_BLOCK = 8  # binary logarithm of the samples of a code-block; 12 is usual
_SAVE = "save it as JPEG or PNG"
_CODING, _CHANGES = 0xFF52, (0xFF53, 0xFF5F)
_TILE, _DATA, _END, _TILE_HEADER = 0xFF90, 0xFF93, 0xFFD9, 14


def jpeg2000_source(data: bytes, request: Request) -> Source:
    """Return a JPEG 2000 image, as a codestream or in a JP2 file; raises BadImage if its two headers differ."""
    damaged = BadImage("the JPEG 2000 image's header is damaged")
    try:
        start = _codestream(data)
        fields = struct.unpack_from(">HHIIIIIIIIH", data, start + len(_CODESTREAM))
    except (struct.error, LookupError, OverflowError):
        raise damaged from None
    _, _, right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = fields
    if not (left < right and top < bottom and tile_width and tile_height and tile_left <= left and tile_top <= top):
        raise damaged
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    try:
        _check_markers(data, start + 2, right - tile_left, bottom - tile_top, tiles)
    except (struct.error, LookupError):
        raise damaged from None
    if tiles > _MOST_TILES or components > _MOST_COMPONENTS:
        raise BadImage(f"a JPEG 2000 image of {tiles} tiles and {components} components; {_SAVE}")
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
    for _ in range(_MOST_PARTS):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        if kind == b"jp2c":
            if data[position + header : position + header + 4] != _CODESTREAM:
                raise LookupError
            return position + header
        if length < header or (kind == b"jp2h" and length > _HEADER):
            raise LookupError
        position += length
    raise LookupError


def _check_markers(data: bytes, position: int, width: int, height: int, tiles: int) -> None:
    """Raise BadImage if the segments from `position` on let OpenJPEG work out of proportion to the image.

    Time and memory grow with the numbers of packets and code-blocks. The coding of a single tile or component must not
    differ, and the order of progression must not change. Raises LookupError or struct.error if damaged.
    """
    end = 0  # of the tile-part
    for _ in range(_MOST_SEGMENTS):
        if position + 4 > len(data) or (marker := int.from_bytes(data[position : position + 2], "big")) == _END:
            return
        if marker == _DATA:
            position = end
            continue
        if marker == _TILE:
            (size,) = struct.unpack_from(">I", data, position + 6)
            end = position + size if size >= _TILE_HEADER else len(data)
        elif marker in _CHANGES or (
            marker == _CODING and (end or not _is_usual(data, position + 4, width, height, tiles))
        ):
            raise BadImage(f"a JPEG 2000 image of an unusual structure; {_SAVE}")
        position += 2 + max(2, int.from_bytes(data[position + 2 : position + 4], "big"))
    raise LookupError


def _is_usual(data: bytes, position: int, width: int, height: int, tiles: int) -> bool:
    style, _, layers, _, levels, block_width, block_height = struct.unpack_from(">BBHBBBB", data, position)
    if levels > _MOST_LEVELS or block_width + block_height + 4 < _LEAST_BLOCK:
        return False
    precincts = data[position + 10 : position + 11 + levels] if style & 1 else b"\xff" * (levels + 1)
    packets = 0
    for down, size in zip(range(levels, -1, -1), precincts, strict=False):
        across, along = down + (size & 15), down + (size >> 4)
        packets += tiles + (width >> across) * (height >> along) + (width >> across) + (height >> along)
    return bool(packets * layers <= _MOST_PACKETS)
