"""Reads and checks the central directory of an untrusted zip file."""

import io
import stat
import zipfile
from pathlib import Path

from contract.errors import BadArchive
from media.archives import names
from media.archives.limits import MIB
from media.archives.rejections import Rejections

_ENTRY = b"PK\x01\x02"  # signature of an entry in the central directory
_ENTRY_BYTES = 512  # limit for the average size of an entry
_HEADER_BYTES = 30
_SECRET = 0x1 | 0x40 | 0x2000  # flags of encryption, strong encryption and a masked directory


class GuardedFile(io.BufferedReader):
    """A file that raises BadArchive if its directory has too many entries, before zipfile makes an object of each."""

    def __init__(self, path: Path, members: int) -> None:
        super().__init__(io.FileIO(path))
        self._members = members
        self.guarding = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.guarding:
            return super().read(size)
        if size is not None and size > max(MIB, self._members * _ENTRY_BYTES):
            raise BadArchive(f"the archive's directory is too large for {self._members} files; send it in parts")
        data = super().read(size)
        if data.count(_ENTRY) > self._members:
            raise BadArchive(f"the archive has over {self._members} files; send it in parts")
        return data


def opened(file: GuardedFile) -> zipfile.ZipFile:
    """Open a zip and check its directory; raises BadArchive.

    The members of the result do not overlap, so their compressed sizes are real.
    """
    try:
        archive = _read(file)
    except NotImplementedError:
        raise BadArchive("the zip file needs features that are not supported; create it without options") from None
    except (zipfile.BadZipFile, ValueError) as error:
        raise BadArchive("not a zip file, or damaged or cut off") from error
    file.guarding = False
    _check(archive.infolist(), file.seek(0, io.SEEK_END))
    return archive


def acceptable(archive: zipfile.ZipFile, rejections: Rejections) -> dict[str, zipfile.ZipInfo]:
    """Return the acceptable entries by normalized name; add others to `rejections`, except folders and clutter."""
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        raw = entry.orig_filename  # `filename` ends at a NUL
        name = names.clean(raw)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if not name or raw.endswith(("/", "\\")) or kind == stat.S_IFDIR or names.is_clutter(name):
            continue
        if reason := names.fault(name) or _kind_fault(kind):
            rejections.add(name, reason)
        elif name in entries:
            rejections.add(name, "a second file of this name")
        else:
            entries[name] = entry
    return entries


def _kind_fault(kind: int) -> str | None:
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    return None if kind in (0, stat.S_IFREG) else "not a regular file"


def _read(file: GuardedFile) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(file, metadata_encoding="utf-8")  # macOS does not set the UTF-8 flag
    except UnicodeDecodeError:
        return zipfile.ZipFile(file)


def _check(entries: list[zipfile.ZipInfo], file_bytes: int) -> None:
    """Raise BadArchive for an empty or encrypted archive, or one with overlapping members."""
    if not entries:
        raise BadArchive("the archive is empty")
    if any(entry.flag_bits & _SECRET for entry in entries):
        raise BadArchive("the archive is encrypted; send it without a password")
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    starts = [*(entry.header_offset for entry in ordered), file_bytes]
    ends = [entry.header_offset + _HEADER_BYTES + entry.compress_size for entry in ordered]
    if starts[0] < 0 or any(end > start for end, start in zip(ends, starts[1:], strict=True)):
        raise BadArchive("the archive is damaged: its members overlap or lie outside of it")
