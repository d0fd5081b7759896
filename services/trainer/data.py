"""Training data: images in shards, and their order in batches."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from contract.datasets import Split
from media.image_index import read_index

SHRUNK_AT_ONCE = 64  # images
EXAMPLES = 5  # images in a message

Indices = NDArray[np.int64]
Names = Callable[[Indices], list[tuple[str | None, str | None]]]
"""Returns the SHA-256 and the path of the originals of training images, None if they are not known."""

ShardFiles = tuple[Path, Path]  # images.npy and labels.npy


class ShardedImages:
    """The uint8 images (n, C, H, W) and int64 labels (n,) of a split.

    The image files are memory-mapped; `take` reads only the requested images.
    """

    def __init__(self, shards: Sequence[ShardFiles]) -> None:
        """Open the .npy files (images, labels) of each shard; an empty sequence is an empty split."""
        # Plain arrays on the mapped files: indexing a numpy.memmap takes several times as long.
        self._images = [np.asarray(np.load(images, mmap_mode="r")) for images, _ in shards]
        labels = [np.load(labels) for _, labels in shards]
        self.labels: NDArray[np.int64] = np.concatenate([*labels, np.empty(0, np.int64)])
        self._ends = np.cumsum([len(images) for images in self._images], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return the images and labels at `indices`, in that order."""
        labels = torch.from_numpy(self.labels[indices])
        if len(self._images) == 1:
            return torch.from_numpy(self._images[0][indices]), labels
        shards = np.searchsorted(self._ends, indices, side="right")
        images = np.empty((len(indices), *self._images[0].shape[1:]), np.uint8)
        for number in np.unique(shards):
            mask = shards == number
            # A negative index, counted from the shard's end: no need to store where shards start.
            images[mask] = self._images[number][indices[mask] - self._ends[number]]
        return torch.from_numpy(images), labels


class MemoryImages(ShardedImages):
    """The images (n, C, H, W) and labels of a split in memory."""

    def __init__(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        self._images = [images]
        self.labels = labels
        self._ends = np.array([len(labels)])


def shrunk(images: ShardedImages, factor: int) -> ShardedImages:
    """Return the images with squares of `factor` pixels a side averaged, in memory.

    Training reads each image many times, so it is shrunk once instead of in every step.
    """
    if factor == 1 or not len(images):
        return images
    parts = []
    for indices in np.array_split(np.arange(len(images)), -(-len(images) // SHRUNK_AT_ONCE)):
        pixels, _ = images.take(indices)
        parts.append(avg_pool2d(pixels.float(), factor).round().to(torch.uint8).numpy())
    return MemoryImages(np.concatenate(parts), images.labels)


def numbers(indices: Indices) -> str:
    """Name images by their numbers, up to EXAMPLES of them."""
    shown = ", ".join(str(index) for index in indices[:EXAMPLES])
    return f"{shown} …" if len(indices) > EXAMPLES else shown


def nameless(indices: Indices) -> list[tuple[str | None, str | None]]:
    """Return nothing: the names of images without an index."""
    return [(None, None)] * len(indices)


class IndexedImages:
    """The hashes and paths of a dataset's images, in the order of `ShardedImages`; read when they are needed."""

    def __init__(self, index: Path) -> None:
        self._index = index

    def hashes(self, split: Split) -> list[bytes]:
        """Return the SHA-256 digests of a split's original images."""
        hashes: list[bytes] = read_index(self._index, ["sha256"], split)["sha256"].to_pylist()
        return hashes

    def names(self, indices: Indices) -> list[tuple[str | None, str | None]]:
        """Return the SHA-256 in hexadecimal digits and the path of training images."""
        rows = read_index(self._index, ["sha256", "path"], Split.TRAIN).take(pa.array(indices, pa.int64())).to_pylist()
        return [(row["sha256"].hex(), row["path"]) for row in rows]

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

    def shrunk(self, factor: int) -> Self:
        """Return the data with squares of `factor` pixels a side averaged."""
        return replace(self, train=shrunk(self.train, factor), val=shrunk(self.val, factor)).reshaped(factor)

    def reshaped(self, factor: int) -> Self:
        """Return the data with the shape of images that are shrunk already."""
        channels, height, width = self.shape
        return replace(self, shape=(channels, height // factor, width // factor))


def batches(order: Indices, size: int) -> list[Indices]:
    """Cut `order` into batches of about `size` whose lengths differ by at most one.

    A batch has a single image only if that is the only image, because batch normalization needs two or more.
    """
    count = min(-(-len(order) // size), len(order) // 2)
    return np.array_split(order, max(count, 1))
