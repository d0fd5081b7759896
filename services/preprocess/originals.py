"""The original files of a part, with the hash of each."""

import hashlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from media.archives.archive import check_total
from worker.members import Members


class Originals:
    """Reads the members of a part in order, once, and keeps the hash of each; `inflated` counts bytes."""

    def __init__(self, members: Members) -> None:
        self.paths: list[str] = members.rows["path"].to_pylist()
        self.limits = members.limits
        self.inflated = 0
        self._digests = bytearray(32 * len(members))
        self._members = members
        self._next = 0

    def read(self, _path: str) -> bytes:
        """Return the next file's bytes; raises BadImage if it is rejected, BadArchive if the archive is."""
        number, self._next = self._next, self._next + 1
        data = self._members.read(number)
        self.inflated += len(data)
        check_total(self.inflated, self.limits)
        self._digests[32 * number : 32 * number + 32] = hashlib.sha256(data).digest()
        return data

    def digests(self, numbers: NDArray[np.int64]) -> pa.Array:
        """Return the SHA-256 of some files."""
        chosen = np.frombuffer(self._digests, np.uint8).reshape(-1, 32)[numbers]
        return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(chosen), [None, pa.py_buffer(chosen.tobytes())])
