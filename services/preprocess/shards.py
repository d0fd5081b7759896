"""Write a split's images to files that the trainer can memory-map."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

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

    def add(self, image: np.ndarray, label: int) -> None:
        """Add one image, uint8 (channels, height, width), and the index of its class."""
        self._images[self._count] = image
        self._labels[self._count] = label
        self._count += 1
        if self._count == len(self._images):
            self._write()

    def finish(self) -> tuple[ShardFile, ...]:
        """Write the last shard, if any, and return all shards in order."""
        if self._count:
            self._write()
        return tuple(self._written)

    def _write(self) -> None:
        stem = f"{self._split}-{len(self._written):05d}"
        shard = ShardFile(self._count, self._folder / f"{stem}.images.npy", self._folder / f"{stem}.labels.npy")
        np.save(shard.images, self._images[: self._count])
        np.save(shard.labels, self._labels[: self._count])
        self._written.append(shard)
        self._count = 0
