"""Lists the members of an untrusted tar file: ustar, GNU and POSIX (PAX) headers.

Python's tarfile parses single headers here, but does not walk the file: some of its versions loop forever on hostile
sizes (CVE-2025-8194), take quadratic time on PAX headers (CVE-2024-6232), or read headers of any size into memory.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.errors import BadArchive
from media.archives.encoding import decoded_names
from media.archives.limits import MIB, Limits
from media.archives.listing import Entry, Listing, listed
from media.archives.places import PLAIN, Place
from media.archives.rejections import Rejections

BLOCK = 512
_HEADERS_A_MEMBER = 4  # each of a long name, a long link and PAX records may precede it
_CUT_OFF = "the tar file is damaged or cut off"
_FAULTS = {
    tarfile.LNKTYPE: "a hard link; create the archive with --hard-dereference",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.GNUTYPE_SPARSE: "a sparse file; create the archive without --sparse",
}
_WITHOUT_DATA = (*(tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE), b"6")


@dataclass(frozen=True, slots=True)
class _Member:
    name: str | bytes
    kind: bytes
    start: int
    size: int
    sparse: bool


def is_tar(path: Path) -> bool:
    """Return whether a file begins like a plain tar, by its content."""
    with path.open("rb") as file:
        block = file.read(BLOCK)
    return len(block) == BLOCK and (not block.strip(b"\0") or _header(block) is not None)


def opened(
    path: Path, limits: Limits, encoding: str | None, rejections: Rejections
) -> tuple[io.BufferedReader, Listing]:
    """Open a plain tar and list its members; raises BadArchive. Rejected members are added to `rejections`."""
    file = path.open("rb")
    try:
        members = list(_members(file, path.stat().st_size, limits.members))
        if not members:
            raise BadArchive("the archive is empty")
        names, detected = decoded_names([member.name for member in members], encoding)
        entries = (_entry(member, name) for member, name in zip(members, names, strict=True))
        places = [(m.start, m.start + m.size, PLAIN, m.size, m.size, 0) for m in members]
        return file, listed(entries, np.array(places, np.int64), detected, rejections)
    except BaseException:
        file.close()
        raise


def all_places(path: Path, limits: Limits) -> Iterator[Place]:
    """Yield where the data of each member of a plain tar lie, whatever its name and kind; raises BadArchive."""
    with path.open("rb") as file:
        for member in _members(file, path.stat().st_size, limits.members):
            yield Place(member.start, member.start + member.size, PLAIN, member.size, member.size, 0)


def _entry(member: _Member, name: str) -> Entry:
    fault = _FAULTS.get(member.kind)
    if fault is None and member.sparse:
        fault = _FAULTS[tarfile.GNUTYPE_SPARSE]
    if fault is None and member.kind not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE):
        fault = "not a regular file"
    return Entry(name, name, member.kind == tarfile.DIRTYPE, fault)


def _members(file: io.BufferedReader, file_bytes: int, most: int) -> Iterator[_Member]:
    """Yield the members in order, up to the first block of zeros, which ends every tar."""
    at = count = 0
    shared: dict[str, bytes] = {}
    records: dict[str, bytes] = {}
    for _ in range(_HEADERS_A_MEMBER * most + 2):
        file.seek(at)
        block = file.read(BLOCK)
        if block and not block.strip(b"\0"):
            return
        header = _header(block)
        if header is None:
            raise BadArchive(_CUT_OFF)
        start = at + BLOCK
        if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, b"x", b"g", b"X"):
            content = _content(file, header.size)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = content.split(b"\0")[0]
            elif header.type == b"g":
                shared |= _pax(content)
            elif header.type != tarfile.GNUTYPE_LONGLINK:
                records |= _pax(content)
            at = start + _padded(header.size)
            continue
        count += 1
        if count > most:
            raise BadArchive(f"the archive has over {most} files, the most that one dataset can have; send fewer")
        if header.type == tarfile.GNUTYPE_SPARSE:
            start += BLOCK * _sparse_blocks(file, block)
        member = _member(block, header, start, shared | records)
        at = start + (0 if member.kind in _WITHOUT_DATA else _padded(member.size))
        if at > file_bytes + BLOCK or start + member.size > file_bytes:
            raise BadArchive(_CUT_OFF)
        records = {}
        yield member
    raise BadArchive(_CUT_OFF)


def _header(block: bytes) -> tarfile.TarInfo | None:
    """Return a parsed header, or None if the block is none."""
    try:
        header = tarfile.TarInfo.frombuf(block, "latin-1", "strict")
    except (tarfile.TarError, ValueError):
        return None
    return header if header.size >= 0 else None


def _member(block: bytes, header: tarfile.TarInfo, start: int, records: dict[str, bytes]) -> _Member:
    sparse = any(key.startswith("GNU.sparse.") for key in records)
    name = records.get("GNU.sparse.name") or records.get("path") or _name(block)
    kind = tarfile.DIRTYPE if name.endswith(b"/") and header.type == tarfile.AREGTYPE else header.type
    size = header.size
    if "size" in records:
        if not records["size"].isdigit() or len(records["size"]) > 20:
            raise BadArchive(_CUT_OFF)
        size = int(records["size"])
    return _Member(name, kind, start, 0 if kind in _WITHOUT_DATA else size, sparse)


def _name(block: bytes) -> bytes:
    name = block[:100].split(b"\0")[0]
    prefix = block[345:500].split(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _content(file: io.BufferedReader, size: int) -> bytes:
    """Read the content of a header, which may be at most 1 MiB."""
    content = file.read(size) if size <= MIB else b""
    if len(content) < size:
        raise BadArchive(_CUT_OFF)
    return content


def _pax(content: bytes) -> dict[str, bytes]:
    """Parse PAX records: `length key=value\\n`, where the length counts the whole record."""
    records: dict[str, bytes] = {}
    at = 0
    while at < len(content) and content[at]:
        length, _, _ = content[at : at + 20].partition(b" ")
        end = at + int(length) if length.isdigit() else at
        if end <= at + len(length) + 1 or end > len(content):
            raise BadArchive(_CUT_OFF)
        key, _, value = content[at + len(length) + 1 : end - 1].partition(b"=")
        records[key.decode("utf-8", "replace")] = value
        at = end
    return records


def _sparse_blocks(file: io.BufferedReader, block: bytes) -> int:
    """Return the number of blocks that follow the header of an old GNU sparse file with more of its map."""
    count, more = 0, block[482]
    while more:
        block = file.read(BLOCK)
        if len(block) < BLOCK:
            raise BadArchive(_CUT_OFF)
        count, more = count + 1, block[504]
    return count


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
