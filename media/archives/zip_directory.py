"""Reads and checks the central directory of an untrusted zip file."""

import io
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadArchive
from media.archives.encoding import decoded_names
from media.archives.limits import Limits
from media.archives.listing import Entry, Listing, listed
from media.archives.places import LOCAL_HEADER_BYTES, Place
from media.archives.rejections import Rejections
from media.archives.zip_entries import UNICODE_PATH, UTF8, ZipEntries, read_entries

_SECRET = 0x1 | 0x40 | 0x2000  # flags of encryption, strong encryption and a masked directory
_BACKSLASH_SYSTEMS = (0, 6, 10, 11, 14)  # MS-DOS, OS/2, Windows (10 by PKWARE, 11 by Info-ZIP), VFAT
_MOST_LENGTHS = 2 * 0xFFFF  # of the name and the extra fields in a local header


def opened(
    path: Path, limits: Limits, encoding: str | None, rejections: Rejections
) -> tuple[io.BufferedReader, Listing]:
    """Open a zip and check its directory; raises BadArchive. Rejected entries are added to `rejections`.

    The places of the result do not overlap, so their compressed sizes are real.
    """
    file = path.open("rb")
    try:
        entries = read_entries(file, limits.members)
        stops = _stops(entries, file.seek(0, io.SEEK_END))
        raw, flags = _raw_names(entries)
        names, detected = decoded_names(raw, encoding)
        places = _places(entries, stops)
        del stops
        entries = entries.without_places()
        return file, listed(_entries(entries, names, flags), places, detected, rejections)
    except BaseException:
        file.close()
        raise


def all_places(path: Path, limits: Limits) -> Iterator[Place]:
    """Yield where each entry of a zip lies, whatever its name and kind; raises BadArchive."""
    with path.open("rb") as file:
        entries = read_entries(file, limits.members)
        stops = _stops(entries, file.seek(0, io.SEEK_END))
    yield from map(Place._make, _places(entries, stops).tolist())


def _places(entries: ZipEntries, stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fields of the places of all entries, (count, 6)."""
    columns = (entries.starts, stops, entries.methods, entries.packed, entries.sizes, entries.crcs)
    return np.stack(columns, axis=1, dtype=np.int64, casting="safe")


def _raw_names(entries: ZipEntries) -> tuple[list[str | bytes], list[int]]:
    """Return each name, as text if its encoding is known, otherwise its bytes, and which are flagged as UTF-8.

    If a flagged name is in another encoding, no flag is trusted.
    """
    flags = (entries.flags & UTF8).tolist()
    try:
        names = [
            name.decode() if flag and isinstance(name, bytes) else name
            for name, flag in zip(entries.names, flags, strict=True)
        ]
    except UnicodeDecodeError:
        flags, names = [0] * len(flags), list(entries.names)
    for number, extra in entries.extras.items():
        if not flags[number] and UNICODE_PATH in extra:
            stored = entries.names[number]
            stored = stored.encode() if isinstance(stored, str) else stored
            names[number] = _unicode_path(extra[UNICODE_PATH], stored) or stored
    return names, flags


def _unicode_path(content: bytes, stored: bytes) -> str | None:
    """Return the name in the Unicode Path extra field, unless it belongs to another name than the stored one."""
    checksum = b"\1" + zlib.crc32(stored).to_bytes(4, "little")
    if not content.startswith(checksum):
        return None
    try:
        return content[len(checksum) :].decode()
    except UnicodeDecodeError:
        return None


def _entries(entries: ZipEntries, names: list[str], flags: list[int]) -> Iterator[Entry]:
    kinds = (entries.attributes >> 16 & 0xF000).tolist()
    backslashes = np.isin(entries.systems, _BACKSLASH_SYSTEMS).tolist()
    for raw, flag, decoded, kind, backslash in zip(entries.names, flags, names, kinds, backslashes, strict=True):
        stored = raw if isinstance(raw, str) else raw.decode("utf-8" if flag else "cp437")  # as zipfile names it
        name = decoded.replace("\\", "/") if backslash else decoded
        yield Entry(name, stored, kind == stat.S_IFDIR, _kind_fault(kind))


def _kind_fault(kind: int) -> str | None:
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    return None if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "not a regular file"


def _stops(entries: ZipEntries, file_bytes: int) -> NDArray[np.int64]:
    """Return where each entry ends at most. Raise BadArchive if there is none, or one is encrypted or overlaps."""
    if not entries.names:
        raise BadArchive("the archive is empty")
    if (entries.flags & _SECRET).any():
        raise BadArchive("the archive is encrypted; send it without a password")
    order = np.argsort(entries.starts, kind="stable")
    starts = entries.starts[order]
    ends = starts + LOCAL_HEADER_BYTES + entries.packed[order]
    following = np.append(starts[1:], file_bytes)
    if starts[0] < 0 or (ends > following).any():
        raise BadArchive("the archive is damaged: its members overlap or lie outside of it")
    stops = np.empty_like(starts)
    stops[order] = np.minimum(following, ends + _MOST_LENGTHS)
    return stops
