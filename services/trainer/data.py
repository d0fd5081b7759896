"""Training data: images in shards, and their order in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.datasets import Split
from media.image_index import read_index

EXAMPLES = 5  # images in a message

Indices = NDArray[np.int64]
ShardFiles = tuple[Path, Path]  # images.npy and labels.npy


class ShardedImages:
    """The uint8 images (n, C, H, W) and int64 labels (n,) of a split.

    The image files are memory-mapped; `take` reads only the requested images.
    """

    def __init__(self, shards: Sequence[ShardFiles]) -> None:
        """Open the .npy files (images, labels) of each shard; an empty sequence is an empty split."""
        self._images = [np.load(images, mmap_mode="r") for images, _ in shards]
        labels = [np.load(labels) for _, labels in shards]
        self.labels: NDArray[np.int64] = np.concatenate([*labels, np.empty(0, np.int64)])
        self._ends = np.cumsum([len(images) for images in self._images], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return the images and labels at `indices`, in that order."""
        shards = np.searchsorted(self._ends, indices, side="right")
        images = np.empty((len(indices), *self._images[0].shape[1:]), np.uint8)
        for number in np.unique(shards):
            mask = shards == number
            # A negative index, counted from the shard's end: no need to store where shards start.
            images[mask] = self._images[number][indices[mask] - self._ends[number]]
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])


def numbers(indices: Indices) -> str:
    """Name images by their numbers, up to EXAMPLES of them."""
    shown = ", ".join(str(index) for index in indices[:EXAMPLES])
    return f"{shown} …" if len(indices) > EXAMPLES else shown


class IndexedImages:
    """The hashes and paths of a dataset's images, in the order of `ShardedImages`; read when they are needed."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def hashes(self, split: Split) -> list[bytes]:
        """Return the SHA-256 digests of a split's original images."""
        hashes: list[bytes] = read_index(self._index, ["sha256"], split)["sha256"].to_pylist()
        return hashes

    def describe(self, indices: Indices) -> str:
        """Name training images by their paths, up to EXAMPLES of them."""
        paths = read_index(self._index, ["path"], Split.TRAIN)["path"]
        shown = ", ".join(str(paths[int(index)]) for index in indices[:EXAMPLES])
        return f"{shown} and {len(indices) - EXAMPLES} others" if len(indices) > EXAMPLES else shown


@dataclass(frozen=True)
class TrainingData:
    """The splits used in training. `shape` is (C, H, W); `mean` and `std` are per channel, of pixels in 0..1.

    `describe` names training images for people, such as by their paths.
    """

    train: ShardedImages
    val: ShardedImages
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    describe: Callable[[Indices], str] = numbers


def batches(order: Indices, size: int) -> list[Indices]:
    """Cut `order` into batches of about `size` whose lengths differ by at most one.

    A batch has a single image only if that is the only image, because batch normalization needs two or more.
    """
    count = min(-(-len(order) // size), len(order) // 2)
    return np.array_split(order, max(count, 1))
