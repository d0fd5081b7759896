"""What planning needs of the files of a dataset."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from media.archives.limits import Limits
from media.archives.listing import Ignored


class DatasetFiles(Protocol):
    """Files by normalized name: those of an archive, or the objects below a prefix."""

    limits: Limits
    inflated: int
    ignored: Ignored
    detected_encoding: str | None

    @property
    def names(self) -> tuple[str, ...]: ...

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the fields of the places of files, (count, 6), for the order of the files and their sizes."""

    def member(self, name: str) -> str:
        """Return a file's name as stored."""

    def head(self, name: str, most: int | None) -> bytes:
        """Return a file's contents, or only the first `most` bytes; raises BadImage."""

    def read(self, name: str) -> bytes:
        """Return a file's contents and count them; raises BadImage, or BadArchive over the limit for all files."""
