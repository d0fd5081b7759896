"""Reads the members of a zip file within limits."""

import copy
import os
import sys
import zipfile
import zlib
from bisect import bisect_right
from pathlib import Path
from typing import Self

from contract.errors import BadArchive, BadImage
from media.archives import directory
from media.archives.limits import MIB, Limits
from media.archives.places import DEFLATED, STORED, Place, read_head, read_member
from media.archives.rejections import Rejections

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


class Archive:
    """The acceptable files of a zip, by normalized name. Files are read one by one and never written to disk.

    Opening raises BadArchive if the whole archive is rejected; single rejected files are added to `rejections`.
    Declared sizes are not trusted: members must not overlap, and every chunk is checked against the limits.
    `inflated` is the number of bytes inflated so far.
    """

    def __init__(self, path: Path, limits: Limits, rejections: Rejections) -> None:
        self.limits = limits
        self.inflated = 0
        self._file = directory.GuardedFile(path, limits.members)
        try:
            self._zip = directory.opened(self._file)
            self._entries = directory.acceptable(self._zip, rejections)
            offsets = (entry.header_offset for entry in self._zip.infolist())
            self._ends = [*sorted(offsets), self._zip.start_dir]
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._entries)

    def place(self, name: str) -> Place:
        """Return where a file lies, for `read_member`."""
        entry = self._entries[name]
        start = entry.header_offset
        stop = self._ends[bisect_right(self._ends, start)]
        return Place(start, stop, entry.compress_type, entry.compress_size, entry.file_size, entry.CRC)

    def member(self, name: str) -> str:
        """Return a file's name as stored in the archive."""
        return self._entries[name].orig_filename

    def head(self, name: str, most: int | None) -> bytes:
        """Return a file's contents, or only the first `most` bytes; raises BadImage. Does not count as inflated."""
        place = self.place(name)
        fd = self._file.fileno()
        if most is None or place.size <= most or place.method not in (STORED, DEFLATED):
            return read_member(os.pread(fd, place.stop - place.start, place.start), place, self.limits)
        return read_head(os.pread(fd, min(most + 2048, place.stop - place.start), place.start), place, most)

    def read(self, name: str) -> bytes:
        """Return the file's bytes; raises BadImage if the file is rejected, BadArchive if the whole archive is."""
        entry, limits = copy.copy(self._entries[name]), self.limits
        if entry.compress_type not in _METHODS:
            raise BadImage("compressed by a method other than deflate")
        # zipfile stops at the declared size and would not notice further data.
        declared, entry.file_size = entry.file_size, sys.maxsize
        too_large = BadImage(f"inflates to over {limits.member_bytes} bytes")
        if declared > limits.member_bytes:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        try:
            with self._zip.open(entry) as member:
                while chunk := member.read(MIB):
                    size += len(chunk)
                    self._count(len(chunk))
                    if size > limits.member_bytes:
                        raise too_large
                    if size > MIB and size > limits.ratio * entry.compress_size:
                        raise BadImage(f"inflates to over {limits.ratio} times its compressed size")
                    chunks.append(chunk)
        except _DAMAGE as error:
            raise BadImage("damaged in the archive") from error
        if size != declared:
            raise BadImage("its size is not what the archive declares")
        return b"".join(chunks)

    def _count(self, size: int) -> None:
        self.inflated += size
        check_total(self.inflated, self.limits)


def check_total(inflated: int, limits: Limits) -> None:
    """Raise BadArchive if `inflated` bytes exceed the limit for the whole archive."""
    if inflated > limits.total_bytes:
        raise BadArchive(f"the archive inflates to over {limits.total_bytes} bytes; send it in parts")
