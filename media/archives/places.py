"""Reads single members of zip and tar files from the bytes of their place in the archive."""

import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from contract.errors import BadArchive, BadImage
from media.archives.compression import DAMAGE, chunks
from media.archives.limits import MIB, Limits

PLAIN, STORED, DEFLATED = -1, 0, 8  # PLAIN: the data alone, without a local header, as in a tar file
LOCAL_HEADER_BYTES = 30
_LOCAL = struct.Struct("<4s22xHH")
_SLACK = 1.01  # to which data that cannot be compressed may grow
_SLACK_BYTES = 1024

Bytes = bytes | memoryview


class Place(NamedTuple):
    """Where a member lies in the file of an archive: everything needed to read it from that range of bytes alone.

    `method` is the zip's number of a compression, or PLAIN; `packed` and `size` are the declared numbers of bytes
    before and after inflating, `crc` is that of the inflated bytes (0 in a tar, which has none). The range of a zip's
    member begins with its local header and may end after its data.
    """

    start: int
    stop: int
    method: int
    packed: int
    size: int
    crc: int


def read_member(data: Bytes, place: Place, limits: Limits, count: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the content of a member from the bytes of its place; raises BadImage if it is rejected.

    Declared sizes are not trusted. `count` is called with the size of each chunk that was inflated, and may raise.
    """
    check_size(place, limits)
    too_large = BadImage(f"inflates to over {limits.member_bytes} bytes")
    pieces: list[bytes] = []
    size = 0
    try:
        for chunk in chunks(_packed(data, place), max(place.method, STORED), place.size):
            size += len(chunk)
            count(len(chunk))
            if size > limits.member_bytes:
                raise too_large
            if size > MIB and size > limits.ratio * place.packed:
                raise BadImage(f"inflates to over {limits.ratio} times its compressed size")
            pieces.append(chunk)
    except DAMAGE as error:
        raise BadImage("damaged in the archive") from error
    if size != place.size:
        raise BadImage("its size is not what the archive declares")
    content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if place.method != PLAIN and zlib.crc32(content) != place.crc:
        raise BadImage("damaged in the archive")
    return content


def read_head(data: Bytes, place: Place, most: int) -> bytes:
    """Return the first `most` bytes of a stored or deflated member, or fewer, from its first bytes."""
    packed = _data(data, place)[: place.packed]
    if place.method != DEFLATED:
        return bytes(packed[:most])
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
    except zlib.error as error:
        raise BadImage("damaged in the archive") from error


def check_size(place: Place, limits: Limits) -> None:
    """Raise BadImage if a member is too large to be read into memory."""
    if max(place.size, place.packed / _SLACK - _SLACK_BYTES) > limits.member_bytes:
        raise BadImage(f"inflates to over {limits.member_bytes} bytes")


def check_total(inflated: int, limits: Limits) -> None:
    """Raise BadArchive if `inflated` bytes exceed the limit for the whole archive."""
    if inflated > limits.total_bytes:
        raise BadArchive(f"the archive inflates to over {limits.total_bytes} bytes; send fewer or smaller images")


def _packed(data: Bytes, place: Place) -> bytes:
    packed = _data(data, place)
    if place.packed > len(packed):
        raise BadImage("damaged in the archive")
    return bytes(packed[: place.packed])


def data_start(data: Bytes, place: Place) -> int:
    """Return where the data of a member begin in the bytes of its place; raises BadImage if it has no local header."""
    if place.method == PLAIN:
        return 0
    if len(data) < LOCAL_HEADER_BYTES:
        raise BadImage("damaged in the archive")
    signature, name_bytes, extra_bytes = _LOCAL.unpack_from(data)
    if signature != b"PK\x03\x04":
        raise BadImage("damaged in the archive")
    return LOCAL_HEADER_BYTES + int(name_bytes) + int(extra_bytes)


def _data(data: Bytes, place: Place) -> Bytes:
    """Return what follows the local header, if the member has one. Its name is not used: the directory's counts."""
    return data[data_start(data, place) :]
