"""Blanks an image in an uploaded archive."""

import gzip
import shutil
from pathlib import Path

from media.archives.erasing import blank_members
from media.archives.limits import MIB, Limits
from media.archives.unpacking import unpacked

_FAST = 1  # level of gzip; compressed images do not get smaller


def blank(archive: Path, sha256: str, sizes: frozenset[int], limits: Limits) -> tuple[Path, int]:
    """Overwrite an image with zeros in an archive on disk; return the file, and how many members were the image.

    A zip or a plain tar is changed in place and keeps its size. A compressed tar becomes a new one, by gzip, whatever
    its compression was. Raises BadArchive for a file that is no archive.
    """
    plain = unpacked(archive, archive.with_name("unpacked.tar"), limits)
    count = blank_members(plain, sha256, sizes, limits)
    if plain == archive:
        return archive, count
    packed = archive.with_name("packed.tar.gz")
    if count:
        with plain.open("rb") as source, gzip.GzipFile("", "wb", _FAST, packed.open("wb"), mtime=0) as target:
            shutil.copyfileobj(source, target, MIB)
    plain.unlink()
    return packed, count
