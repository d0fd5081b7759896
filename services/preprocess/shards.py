"""Write a split's images to files that the trainer can memory-map."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
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
    """Buffers images of one split in memory and writes a shard whenever the buffer is full."""

    def __init__(
        self, folder: Path, split: Split, shape: tuple[int, int, int], *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        self._folder = folder
        self._split = split
        self._images = np.empty((max(1, shard_bytes // int(np.prod(shape))), *shape), np.uint8)
        self._labels = np.empty(len(self._images), np.int64)
        self._count = 0
        self._written: list[ShardFile] = []

    def add(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> NDArray[np.int32]:
        """Add images, uint8 (count, channels, height, width), and the indices of their classes.

        Return the number of the shard and of the row for each of them, (count, 2).
        """
        places = np.empty((len(images), 2), np.int32)
        for part in self._parts(len(images)):
            rows = slice(self._count, self._count + part.stop - part.start)
            self._images[rows] = images[part]
            self._labels[rows] = labels[part]
            places[part, 0] = len(self._written)
            places[part, 1] = np.arange(rows.start, rows.stop)
            self._count = rows.stop
            if self._count == len(self._images):
                self._write()
        return places

    def finish(self) -> tuple[ShardFile, ...]:
        """Write the last shard, if any, and return all shards in order."""
        if self._count:
            self._write()
        return tuple(self._written)

    def _parts(self, count: int) -> Iterator[slice]:
        """Yield slices of `count` images that fit into the buffer; the buffer is filled after each."""
        start = 0
        while start < count:
            stop = min(count, start + len(self._images) - self._count)
            yield slice(start, stop)
            start = stop

    def _write(self) -> None:
        stem = f"{self._split}-{len(self._written):05d}"
        shard = ShardFile(self._count, self._folder / f"{stem}.images.npy", self._folder / f"{stem}.labels.npy")
        np.save(shard.images, self._images[: self._count])
        np.save(shard.labels, self._labels[: self._count])
        self._written.append(shard)
        self._count = 0
