"""Reads the members of a zip or tar file within limits."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from media.archives import tar_directory, zip_directory
from media.archives.limits import Limits
from media.archives.listing import Places
from media.archives.places import DEFLATED, PLAIN, STORED, Place, check_size, check_total, read_head, read_member
from media.archives.rejections import Rejections
from media.archives.unpacking import unpacked

_HEAD_BYTES = 2048  # of a local header, with a name and extra fields of usual length


class Archive:
    """The acceptable files of a zip, a tar or a compressed tar, by normalized name. Files are read one by one.

    Opening raises BadArchive if the whole archive is rejected; single rejected files are added to `rejections`. Only a
    compressed tar is written to disk, as a plain tar beside it, until the archive is closed.
    Declared sizes are not trusted: members must not overlap, and every chunk is checked against the limits.
    `inflated` is the number of bytes inflated so far. `encoding` is that of names that are not UTF-8, if it is known;
    `detected_encoding` is what was detected otherwise. `ignored` are by-products of operating systems.
    """

    def __init__(self, path: Path, limits: Limits, rejections: Rejections, encoding: str | None = None) -> None:
        self.limits = limits
        self.inflated = 0
        self._plain = unpacked(path, path.with_name(f"{path.name}.unpacked"), limits)
        self._is_temporary = self._plain != path
        directory = tar_directory if tar_directory.is_tar(self._plain) else zip_directory
        try:
            self._file, listing = directory.opened(self._plain, limits, encoding, rejections)
        except BaseException:
            self._remove()
            raise
        self._places: Places = listing.places
        self._stored: dict[str, str] = listing.stored
        self.ignored = listing.ignored
        self.detected_encoding = listing.encoding

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._remove()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._places)

    def place(self, name: str) -> Place:
        """Return where a file lies: in the archive, or in what `unpacking.unpacked` makes of a compressed tar."""
        return self._places[name]

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the fields of the places of files, (count, 6)."""
        return self._places.columns(names)

    def member(self, name: str) -> str:
        """Return a file's name as stored in the archive."""
        return self._stored.get(name, name)

    def head(self, name: str, most: int | None) -> bytes:
        """Return a file's contents, or only the first `most` bytes; raises BadImage. Does not count as inflated."""
        place = self._places[name]
        if most is None or place.size <= most or place.method not in (PLAIN, STORED, DEFLATED):
            return read_member(self._bytes(place), place, self.limits)
        return read_head(self._bytes(place, most + _HEAD_BYTES), place, most)

    def read(self, name: str) -> bytes:
        """Return the file's bytes; raises BadImage if the file is rejected, BadArchive if the whole archive is."""
        place = self._places[name]
        return read_member(self._bytes(place), place, self.limits, self._count)

    def _bytes(self, place: Place, most: int | None = None) -> bytes:
        check_size(place, self.limits)
        size = place.stop - place.start
        return os.pread(self._file.fileno(), size if most is None else min(size, most), place.start)

    def _remove(self) -> None:
        if self._is_temporary:
            self._plain.unlink(missing_ok=True)

    def _count(self, size: int) -> None:
        self.inflated += size
        check_total(self.inflated, self.limits)
