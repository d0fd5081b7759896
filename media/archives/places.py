"""Where the members of an archive lie, and how one is read from its bytes alone, without the archive's directory."""

import struct
import zlib
from dataclasses import dataclass

from contract.errors import BadImage
from media.archives.limits import MIB, Limits

STORED, DEFLATED, PLAIN = 0, 8, -1  # PLAIN: the data alone, without a local header, as in a tar file
_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class Place:
    """The bytes of a member from `start`, its local header, up to `stop`, the next member.

    `method` is that of the compression; `packed` and `size` are the declared numbers of bytes before and after
    inflating, `crc` is that of the inflated bytes.
    """

    start: int
    stop: int
    method: int
    packed: int
    size: int
    crc: int


def read_member(data: bytes | memoryview, place: Place, limits: Limits) -> bytes:
    """Return the contents of a member from the bytes at its place; raises BadImage if they are rejected."""
    if place.method not in (STORED, DEFLATED, PLAIN):
        raise BadImage("compressed by a method other than deflate")
    if place.size > limits.member_bytes:
        raise BadImage(f"inflates to over {limits.member_bytes} bytes")
    if place.size > MIB and place.size > limits.ratio * place.packed:
        raise BadImage(f"inflates to over {limits.ratio} times its compressed size")
    packed = _packed(data, place)
    if place.method == PLAIN:
        return bytes(packed)
    content = _inflated(packed, place.size) if place.method == DEFLATED else bytes(packed)
    if len(content) != place.size:
        raise BadImage("its size is not what the archive declares")
    if zlib.crc32(content) != place.crc:
        raise BadImage("damaged in the archive")
    return content


def read_head(data: bytes, place: Place, most: int) -> bytes:
    """Return the first `most` bytes of a stored or deflated member, or fewer, from its first bytes."""
    packed = _data(data, place)
    if place.method != DEFLATED:
        return bytes(packed[:most])
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, most)
    except zlib.error as error:
        raise BadImage("damaged in the archive") from error


def _packed(data: bytes | memoryview, place: Place) -> bytes | memoryview:
    packed = _data(data, place)
    if place.packed > len(packed):
        raise BadImage("damaged in the archive")
    return packed[: place.packed]


def _data(data: bytes | memoryview, place: Place) -> bytes | memoryview:
    """Return what follows the local header, if the member has one."""
    if place.method == PLAIN:
        return data
    if len(data) < _HEADER.size:
        raise BadImage("damaged in the archive")
    signature, name, extra = _HEADER.unpack_from(data)
    if signature != _SIGNATURE:
        raise BadImage("damaged in the archive")
    return data[_HEADER.size + name + extra :]


def _inflated(packed: bytes | memoryview, size: int) -> bytes:
    """Inflate up to one byte more than `size`, which shows that there is more."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(packed, size + 1)
    except zlib.error as error:
        raise BadImage("damaged in the archive") from error
    if not inflater.eof and len(content) <= size:
        raise BadImage("damaged in the archive")
    return content
