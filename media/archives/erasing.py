"""Overwrites members of an archive with zeros, in place, so that all other members stay where they are."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from contract.errors import BadImage
from media.archives import tar_directory, zip_directory
from media.archives.limits import MIB, Limits
from media.archives.places import Place, data_start, read_member


def blank_members(archive: Path, sha256: str, sizes: frozenset[int], limits: Limits) -> int:
    """Overwrite the data of each member whose content has this hash; return the number of members.

    Looks at every member of a zip or plain tar, also at those that are no part of a dataset, but only reads those of
    one of these `sizes` in bytes, if there are any. Names stay. A zip's member cannot be inflated afterwards, that of
    a tar consists of zeros. Raises BadArchive if the archive cannot be read.
    """
    count = 0
    with archive.open("r+b") as file:
        for place in _places(archive, limits):
            if (sizes and place.size not in sizes) or place.size > limits.member_bytes:
                continue
            data = os.pread(file.fileno(), place.stop - place.start, place.start)
            if _digest(data, place, limits) != sha256:
                continue
            start = place.start + data_start(data, place)
            _overwrite(file.fileno(), start, place.packed)
            count += 1
    return count


def _places(archive: Path, limits: Limits) -> Iterator[Place]:
    directory = tar_directory if tar_directory.is_tar(archive) else zip_directory
    yield from directory.all_places(archive, limits)


def _digest(data: bytes, place: Place, limits: Limits) -> str | None:
    try:
        return hashlib.sha256(read_member(data, place, limits)).hexdigest()
    except BadImage:  # no member of a dataset has such content
        return None


def _overwrite(file: int, start: int, size: int) -> None:
    for at in range(start, start + size, MIB):
        os.pwrite(file, bytes(min(MIB, start + size - at)), at)
