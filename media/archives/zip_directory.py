"""Reads and checks the central directory of an untrusted zip file."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from contract.errors import BadArchive
from media.archives.encoding import decoded_names
from media.archives.limits import MIB, Limits
from media.archives.listing import Entry, Listing, listed
from media.archives.places import LOCAL_HEADER_BYTES, Place
from media.archives.rejections import Rejections

_ENTRY = b"PK\x01\x02"  # signature of an entry in the central directory
_ENTRY_BYTES = 512  # limit for the average size of an entry
_ENTRY_HEADER = struct.Struct("<4s4xH18xHHH12x")  # flags, and the lengths of name, extra fields and comment
_SECRET = 0x1 | 0x40 | 0x2000  # flags of encryption, strong encryption and a masked directory
_UTF8 = 0x800  # flag of a name in UTF-8
_UNICODE_PATH = 0x7075  # extra field with the name in UTF-8 and the CRC of the name that it replaces
_UNICODE_PATH_BYTES = _UNICODE_PATH.to_bytes(2, "little")
_BACKSLASH_SYSTEMS = (0, 6, 10, 11, 14)  # MS-DOS, OS/2, Windows (10 by PKWARE, 11 by Info-ZIP), VFAT
_MOST_LENGTHS = 2 * 0xFFFF  # of the name and the extra fields in a local header


class GuardedFile(io.BufferedReader):
    """A file that raises BadArchive if its directory has too many entries, before zipfile makes an object of each.

    With `plain_names` the flags of UTF-8 in the directory are cleared, so that zipfile decodes no name.
    """

    def __init__(self, path: Path, members: int, plain_names: bool = False) -> None:
        super().__init__(io.FileIO(path))
        self._members = members
        self._plain_names = plain_names
        self.guarding = True

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.guarding:
            return super().read(size)
        if size is not None and size > max(MIB, self._members * _ENTRY_BYTES):
            raise BadArchive(
                f"the archive's directory is too large for {self._members} files; send fewer, or shorten their names"
            )
        data = super().read(size)
        if data.count(_ENTRY) > self._members:
            raise BadArchive(
                f"the archive has over {self._members} files, the most that one dataset can have; send fewer"
            )
        return _without_flags(data) if self._plain_names and data.startswith(_ENTRY) else data


def opened(
    path: Path, limits: Limits, encoding: str | None, rejections: Rejections
) -> tuple[io.BufferedReader, Listing]:
    """Open a zip and check its directory; raises BadArchive. Rejected entries are added to `rejections`.

    The places of the result do not overlap, so their compressed sizes are real.
    """
    file, infos = _directory(path, limits.members)
    try:
        stops = _stops(infos, file.seek(0, io.SEEK_END))
        names, detected = decoded_names([_raw_name(info) for info in infos], encoding)
        return file, listed(_entries(infos, names, stops), detected, rejections)
    except BaseException:
        file.close()
        raise


def _directory(path: Path, members: int) -> tuple[GuardedFile, list[zipfile.ZipInfo]]:
    for plain_names in (False, True):
        file = GuardedFile(path, members, plain_names)
        try:
            infos = zipfile.ZipFile(file).infolist()
        except UnicodeDecodeError:  # a name with the flag of UTF-8 is in another encoding
            file.close()
        except NotImplementedError:
            file.close()
            raise BadArchive("the zip file needs features that are not supported; create it without options") from None
        except (zipfile.BadZipFile, ValueError, struct.error) as error:
            file.close()
            raise BadArchive("not a zip or tar file, or damaged or cut off") from error
        except BaseException:
            file.close()
            raise
        else:
            file.guarding = False
            return file, infos
    raise BadArchive("not a zip or tar file, or damaged or cut off")


def _without_flags(directory: bytes) -> bytes:
    data = bytearray(directory)
    at = 0
    while at + _ENTRY_HEADER.size <= len(data) and data[at : at + 4] == _ENTRY:
        _, flags, *lengths = _ENTRY_HEADER.unpack_from(data, at)
        struct.pack_into("<H", data, at + 8, flags & ~_UTF8)
        at += _ENTRY_HEADER.size + sum(lengths)
    return bytes(data)


def _raw_name(info: zipfile.ZipInfo) -> str | bytes:
    """Return the name if its encoding is known, otherwise its bytes."""
    raw = info.orig_filename  # `filename` ends at a NUL
    has_unicode_path = _UNICODE_PATH_BYTES in info.extra
    if info.flag_bits & _UTF8 or (raw.isascii() and not has_unicode_path):
        return raw
    stored = raw.encode("cp437")  # as zipfile decoded it
    return (has_unicode_path and _unicode_path(info.extra, stored)) or stored


def _unicode_path(extra: bytes, stored: bytes) -> str | None:
    """Return the name in the Unicode Path extra field, unless it belongs to another name than the stored one."""
    checksum = b"\1" + zlib.crc32(stored).to_bytes(4, "little")
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        content = extra[at + 4 : at + 4 + length]
        if kind == _UNICODE_PATH and content.startswith(checksum):
            return _utf8(content[len(checksum) :])
        at += 4 + length
    return None


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _entries(infos: list[zipfile.ZipInfo], names: list[str], stops: list[int]) -> Iterator[Entry]:
    for info, decoded, stop in zip(infos, names, stops, strict=True):
        name = decoded.replace("\\", "/") if info.create_system in _BACKSLASH_SYSTEMS else decoded
        kind = stat.S_IFMT(info.external_attr >> 16)
        place = Place(info.header_offset, stop, info.compress_type, info.compress_size, info.file_size, info.CRC)
        yield Entry(name, info.orig_filename, place, kind == stat.S_IFDIR, _kind_fault(kind))


def _kind_fault(kind: int) -> str | None:
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    return None if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "not a regular file"


def _stops(infos: list[zipfile.ZipInfo], file_bytes: int) -> list[int]:
    """Return where each entry ends at most. Raise BadArchive if there is none, or one is encrypted or overlaps."""
    if not infos:
        raise BadArchive("the archive is empty")
    if any(info.flag_bits & _SECRET for info in infos):
        raise BadArchive("the archive is encrypted; send it without a password")
    ordered = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    stops = [0] * len(infos)
    following = file_bytes
    for number in reversed(ordered):
        info = infos[number]
        end = info.header_offset + LOCAL_HEADER_BYTES + info.compress_size
        if end > following or info.header_offset < 0:
            raise BadArchive("the archive is damaged: its members overlap or lie outside of it")
        stops[number] = min(following, end + _MOST_LENGTHS)
        following = info.header_offset
    return stops
