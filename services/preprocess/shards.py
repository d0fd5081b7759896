"""Write a split's images to files whose rows the trainer can read one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import dtype_to_descr, write_array_header_1_0
from numpy.typing import NDArray

from contract.datasets import Split
from media.archives.limits import MIB

SHARD_BYTES = 64 * MIB


@dataclass(frozen=True)
class ShardFile:
    """Two .npy files: images uint8 (count, channels, height, width) and labels int64 (count,)."""

    count: int
    images: Path
    labels: Path


class ShardWriter:
    """Writes images of one split to a file, and begins another whenever the shard is full."""

    def __init__(
        self, folder: Path, split: Split, shape: tuple[int, int, int], *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._folder = folder
        self._split = split
        self._shape = shape
        self._most = max(1, shard_bytes // int(np.prod(shape)))
        self._file: BinaryIO | None = None
        self._labels: list[NDArray[np.int64]] = []
        self._count = 0
        self._written: list[ShardFile] = []

    def add(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Add images, uint8 (count, channels, height, width), and the indices of their classes.

        Return the number of the shard and of the row for each of them, (count, 2).
        """
        places = np.empty((len(images), 2), np.int32)
        for part in self._parts(len(images)):
            start, self._count = self._count, self._count + part.stop - part.start
            self._write(images[part])
            self._labels.append(labels[part])
            places[part, 0] = len(self._written)
            places[part, 1] = np.arange(start, self._count)
            if self._count == self._most:
                self._finish_shard()
        return places

    def finish(self) -> tuple[ShardFile, ...]:
        """Complete the last shard, if any, and return all shards in order."""
        if self._count:
            self._finish_shard()
        return tuple(self._written)

    def _parts(self, count: int) -> Iterator[slice]:
        """Yield slices of `count` images that fit into the current shard; the shard changes after each."""
        start = 0
        while start < count:
            stop = min(count, start + self._most - self._count)
            yield slice(start, stop)
            start = stop

    def _path(self, content: str) -> Path:
        return self._folder / f"{self._split}-{len(self._written):05d}.{content}.npy"

    def _write(self, images: NDArray[np.uint8]) -> None:
        if self._file is None:
            self._file = self._path("images").open("wb")
            self._write_header(self._file, 0)
        self._file.write(np.ascontiguousarray(images).data)

    def _write_header(self, file: BinaryIO, count: int) -> None:
        """Write the header of a .npy file; NumPy reserves space, so that its length does not depend on the count."""
        descr = dtype_to_descr(np.dtype(np.uint8))
        write_array_header_1_0(file, {"shape": (count, *self._shape), "fortran_order": False, "descr": descr})

    def _finish_shard(self) -> None:
        assert self._file is not None  # noqa: S101  the shard has images
        with self._file as file:
            file.seek(0)
            self._write_header(file, self._count)
        shard = ShardFile(self._count, self._path("images"), self._path("labels"))
        np.save(shard.labels, np.concatenate(self._labels))
        self._written.append(shard)
        self._file, self._labels, self._count = None, [], 0
