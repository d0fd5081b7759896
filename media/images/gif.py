"""GIF files: the first frame, found without reading the rest."""

from PIL.GifImagePlugin import GifImageFile

from contract.errors import BadImage
from media.images.source import Request, Source, simple

_EXTENSION, _IMAGE = 0x21, 0x2C
_CONTROL = 0xF9  # of the next image: its transparent colour


def gif_source(data: bytes, request: Request) -> Source:
    """Return the first frame; comments and other frames are not read."""
    return simple(GifImageFile, _first_frame(data))


def _first_frame(data: bytes) -> bytes:
    """Return a GIF of the first frame only."""
    damaged = BadImage("the GIF image's header is damaged")
    if len(data) < 13:
        raise damaged
    start = 13 + _table(data[10])
    header, control = data[:start], b""
    while start + 1 < len(data):
        if data[start] == _EXTENSION:
            end = _blocks_end(data, start + 2)
            if data[start + 1] == _CONTROL:
                control = data[start:end]
        elif data[start] == _IMAGE and start + 10 < len(data):
            end = _blocks_end(data, start + 11 + _table(data[start + 9]))
            return header + control + data[start:end] + b";"
        else:
            break
        start = end
    raise damaged


def _table(flags: int) -> int:
    """Return the size in bytes of a colour table."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int:
    """Return where a chain of data blocks ends."""
    while position < len(data) and (size := data[position]):
        position += size + 1
    return position + 1
