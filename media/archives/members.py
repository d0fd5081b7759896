"""Reads single members of zip and tar files from the bytes of their place in the archive."""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from contract.errors import BadArchive, BadImage
from media.archives.compression import DAMAGE, chunks
from media.archives.limits import MIB, Limits

STORED = 0
LOCAL_HEADER_BYTES = 30
_LOCAL = struct.Struct("<4s22xHH")
_SLACK = 1.01  # to which data that cannot be compressed may grow
_SLACK_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where a member lies in the file of an archive: everything needed to read it from that range of bytes alone.

    `size` and `compressed` are in bytes, as declared; `method` is the zip's number of a compression. A member of a tar
    has no `crc`, and its range is just its data; that of a zip begins with the local header and may end after the data.
    """

    start: int
    stop: int
    size: int
    compressed: int
    method: int = STORED
    crc: int | None = None


def read_member(data: bytes, place: Place, limits: Limits, count: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the content of a member from the bytes of its place; raises BadImage if it is rejected.

    Declared sizes are not trusted. `count` is called with the size of each chunk that was inflated, and may raise.
    """
    check_size(place, limits)
    too_large = BadImage(f"inflates to over {limits.member_bytes} bytes")
    pieces: list[bytes] = []
    size = 0
    try:
        for chunk in chunks(_compressed(data, place), place.method, place.size):
            size += len(chunk)
            count(len(chunk))
            if size > limits.member_bytes:
                raise too_large
            if size > MIB and size > limits.ratio * place.compressed:
                raise BadImage(f"inflates to over {limits.ratio} times its compressed size")
            pieces.append(chunk)
    except DAMAGE as error:
        raise BadImage("damaged in the archive") from error
    if size != place.size:
        raise BadImage("its size is not what the archive declares")
    content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if place.crc is not None and zlib.crc32(content) != place.crc:
        raise BadImage("damaged in the archive")
    return content


def check_size(place: Place, limits: Limits) -> None:
    """Raise BadImage if a member is too large to be read into memory."""
    if max(place.size, place.compressed / _SLACK - _SLACK_BYTES) > limits.member_bytes:
        raise BadImage(f"inflates to over {limits.member_bytes} bytes")


def check_total(inflated: int, limits: Limits) -> None:
    """Raise BadArchive if `inflated` bytes exceed the limit for the whole archive."""
    if inflated > limits.total_bytes:
        raise BadArchive(f"the archive inflates to over {limits.total_bytes} bytes; send it in parts")


def _compressed(data: bytes, place: Place) -> bytes:
    """Return the compressed data of a member. The names in local headers are not used: the directory's count."""
    begin = 0
    if place.crc is not None:
        if len(data) < LOCAL_HEADER_BYTES:
            raise BadImage("damaged in the archive")
        signature, name_bytes, extra_bytes = _LOCAL.unpack_from(data)
        if signature != b"PK\x03\x04":
            raise BadImage("damaged in the archive")
        begin = LOCAL_HEADER_BYTES + name_bytes + extra_bytes
    if begin + place.compressed > len(data):
        raise BadImage("damaged in the archive")
    return data[begin : begin + place.compressed]
