"""Finds and parses the central directory of a zip file, as columns: an object for each entry would take 1 KB."""

import io
import os
import struct
from array import array
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadArchive
from media.archives.limits import MIB

UTF8 = 0x800  # flag of a name in UTF-8
_ENTRY, _END, _END64, _LOCATOR64 = b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"  # signatures
_ENTRY_BYTES = 512  # limit for the average size of an entry
_NEWEST = 63  # version of the format, times ten
_LENGTHS = struct.Struct("<4s24x3H12x")  # of an entry: signature, and the lengths of name, extra fields and comment
_HEADER = np.dtype(
    {
        "names": ["system", "version", "flags", "method", "crc", "packed", "size", "attributes", "start"],
        "formats": ["u1", "u1", "<u2", "<u2", "<u4", "<u4", "<u4", "<u4", "<u4"],
        "offsets": [5, 6, 8, 10, 16, 20, 24, 38, 42],
        "itemsize": _LENGTHS.size,
    }
)
_END_RECORD = struct.Struct("<4s8xLL2x")  # signature, size and offset of the directory
_END_RECORD64 = struct.Struct("<4s36xQQ")
_LOCATOR_RECORD64 = struct.Struct("<4sL8xL")  # signature, number of the disk, number of disks
_MOST_COMMENT = 0xFFFF
_LARGE = 0xFFFFFFFF  # stands for a value that is in the extra field of Zip64
_ZIP64 = 1  # extra field with values that need 64 bits
UNICODE_PATH = 0x7075  # extra field with the name in UTF-8 and the CRC of the name that it replaces
_DAMAGED = "not a zip or tar file, or damaged or cut off"


Extras = dict[int, dict[int, bytes]]


class ZipEntries(NamedTuple):
    """The entries of a zip: names, as text if they are ASCII, and a column for each field of the headers.

    `extras` has the extra fields of entries with one of those that are read, by their numbers.
    """

    names: list[str | bytes]
    extras: Extras
    flags: NDArray[np.uint16]
    systems: NDArray[np.uint8]
    methods: NDArray[np.uint16]
    attributes: NDArray[np.uint32]
    crcs: NDArray[np.uint32]
    packed: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]

    def without_places(self) -> Self:
        """Return the entries without the columns that say where they lie, to save memory."""
        none = np.empty(0, np.int64)
        return self._replace(packed=none, sizes=none, starts=none)


def read_entries(file: io.BufferedReader, most: int) -> ZipEntries:
    """Parse the directory; raises BadArchive if it is damaged, or has over `most` entries."""
    directory, shift = _directory(file, most)
    at, names, extras = array("q"), list[str | bytes](), Extras()
    position = 0
    while position < len(directory):
        if len(directory) - position < _LENGTHS.size:
            raise BadArchive(_DAMAGED)
        signature, name_bytes, extra_bytes, comment_bytes = _LENGTHS.unpack_from(directory, position)
        if signature != _ENTRY:
            raise BadArchive(_DAMAGED)
        if len(names) == most:
            raise BadArchive(f"the archive has over {most} files, the most that one dataset can have; send fewer")
        at.append(position)
        position += _LENGTHS.size + name_bytes
        if extra_bytes and (extra := _extra_fields(directory[position : position + extra_bytes])):
            extras[len(names)] = extra
        name = directory[position - name_bytes : position]
        names.append(name.decode() if name.isascii() else name)
        position += extra_bytes + comment_bytes
    if position > len(directory):
        raise BadArchive(_DAMAGED)
    return _columns(names, extras, _headers(directory, at), shift)


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    """Return the extra fields that are read, by their numbers; raises BadArchive if any field is cut off."""
    fields: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4 + length
        if position > len(extra):
            raise BadArchive(_DAMAGED)
        if kind in (_ZIP64, UNICODE_PATH):
            fields.setdefault(kind, extra[position - length : position])
    return fields


def _headers(directory: bytes, at: "array[int]") -> NDArray[np.void]:
    if not at:
        return np.empty(0, _HEADER)
    windows = np.lib.stride_tricks.sliding_window_view(np.frombuffer(directory, np.uint8), _LENGTHS.size)
    return windows[np.frombuffer(at, np.int64)].view(_HEADER)[:, 0]


def _columns(
    names: list[str | bytes], extras: dict[int, dict[int, bytes]], headers: NDArray[np.void], shift: int
) -> ZipEntries:
    if (headers["version"] > _NEWEST).any():
        raise BadArchive("the zip file needs features that are not supported; create it without options")
    columns = [headers[name].astype(np.int64) for name in ("size", "packed", "start")]
    for number, extra in extras.items():
        values = extra.get(_ZIP64)
        large = [column for column in columns if column[number] == _LARGE] if values is not None else []
        for column, value in zip(large, _numbers(values or b"", len(large)), strict=True):
            column[number] = value
    sizes, packed, starts = columns
    return ZipEntries(
        names=names,
        extras=extras,
        flags=headers["flags"].copy(),  # not views, which would keep the whole headers
        systems=headers["system"].copy(),
        methods=headers["method"].copy(),
        attributes=headers["attributes"].copy(),
        crcs=headers["crc"].copy(),
        packed=packed,
        sizes=sizes,
        starts=starts + shift,
    )


def _numbers(data: bytes, count: int) -> tuple[int, ...]:
    if len(data) < 8 * count or any(number >> 62 for number in struct.unpack_from(f"<{count}Q", data)):
        raise BadArchive(_DAMAGED)
    return struct.unpack_from(f"<{count}Q", data)


def _directory(file: io.BufferedReader, most: int) -> tuple[bytes, int]:
    """Return the central directory, and the number of bytes before the archive, as in a self-extracting file."""
    end = file.seek(0, io.SEEK_END)
    tail = os.pread(file.fileno(), _MOST_COMMENT + _END_RECORD.size, max(0, end - _MOST_COMMENT - _END_RECORD.size))
    at = len(tail) - _END_RECORD.size
    if at < 0 or tail[at : at + 4] != _END or tail[-2:] != b"\0\0":  # there is a comment
        at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_RECORD.size:
        raise BadArchive(_DAMAGED)
    _, size, offset = _END_RECORD.unpack_from(tail, at)
    stop = end - len(tail) + at
    if (record := _end_record64(file, stop)) is not None:
        size, offset = record
        stop -= _LOCATOR_RECORD64.size + _END_RECORD64.size
    if size > stop:
        raise BadArchive(_DAMAGED)
    if size > max(MIB, most * _ENTRY_BYTES):
        raise BadArchive(f"the archive's directory is too large for {most} files; send fewer, or shorten their names")
    return os.pread(file.fileno(), size, stop - size), stop - size - offset


def _end_record64(file: io.BufferedReader, stop: int) -> tuple[int, int] | None:
    """Return the size and the offset of the directory in the Zip64 record that ends at `stop`, if there is one."""
    start = stop - _LOCATOR_RECORD64.size - _END_RECORD64.size
    if start < 0:
        return None
    data = os.pread(file.fileno(), stop - start, start)
    signature, disk, disks = _LOCATOR_RECORD64.unpack_from(data, _END_RECORD64.size)
    if signature != _LOCATOR64:
        return None
    if disk or disks > 1:
        raise BadArchive(_DAMAGED)
    signature, size, offset = _END_RECORD64.unpack_from(data)
    return (size, offset) if signature == _END64 else None
