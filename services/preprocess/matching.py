"""Matches the images of shards with files by their pixels."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Split

_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ShardRow:
    """Where an image lies in the shards, and its class."""

    split: Split
    shard: int
    row: int
    label: str


class ShardRows:
    """The images of shards by their pixels; each can be taken once."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._by_pixels: dict[bytes, list[ShardRow]] = defaultdict(list)
        self.left = 0

    def add(self, split: Split, shard: int, images: Path, labels: Path) -> None:
        """Add the images of a shard, from its two files."""
        pixels, numbers = np.load(images, mmap_mode="r"), np.load(labels).tolist()
        for row, number in enumerate(numbers):
            self._by_pixels[pixel_digest(pixels[row])].append(ShardRow(split, shard, row, self._classes[number]))
        self.left += len(numbers)

    def take(self, digest: bytes, label: str | None) -> ShardRow | None:
        """Return an image with these pixels, if one is left: the first with this label, else the first."""
        rows = self._by_pixels.get(digest)
        if not rows:
            return None
        self.left -= 1
        return rows.pop(next((number for number, row in enumerate(rows) if row.label == label), 0))


def pixel_digest(pixels: NDArray[np.uint8]) -> bytes:
    """Return a hash of an image's pixels."""
    return hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=_DIGEST_BYTES).digest()
