"""Training data: images in shards, and their order in batches."""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from contract.datasets import Split
from media.archives.limits import MIB
from media.image_index import read_index
from services.trainer.file_rows import FileRows

SHRUNK_AT_ONCE = 64  # images
EXAMPLES = 5  # images in a message
MAPPED = 128 * MIB  # a larger split is read without a map, which would count as memory

Indices = NDArray[np.int64]
Names = Callable[[Indices], list[tuple[str | None, str | None]]]
"""Returns the SHA-256 and the path of the originals of training images, None if they are not known."""

Images = NDArray[np.uint8] | FileRows
ShardFiles = tuple[Path, Path]  # images.npy and labels.npy


class ShardedImages:
    """The uint8 images (n, C, H, W) and int64 labels (n,) of a split.

    `take` reads only the requested images of the files, which are memory-mapped if they are small. `ends` has the
    number after the last image of each shard. A training shuffles within windows of `window` shards, or all images if
    that is None.
    """

    window: int | None = None

    def __init__(self, shards: Sequence[ShardFiles]) -> None:
        """Open the .npy files (images, labels) of each shard; an empty sequence is an empty split."""
        files = [images for images, _ in shards]
        self._images: Sequence[Images] = list(map(_mapped if _size(files) <= MAPPED else FileRows.of, files))
        self.folder = shards[0][0].parent if shards else None
        self.labels = joined_labels([labels for _, labels in shards])
        self.ends = np.cumsum([len(images) for images in self._images], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return the images and labels at `indices`, in that order."""
        labels = torch.from_numpy(self.labels[indices])
        if len(self._images) == 1:
            return torch.from_numpy(self._images[0][indices]), labels
        images = taken(indices, self.ends, self._images.__getitem__, self._images[0].shape[1:])
        return torch.from_numpy(images), labels

    def order(
        self, random: np.random.Generator, window: int | None = None, shards: Sequence[int] | None = None
    ) -> Indices:
        """Return the numbers of all images in random order, the same for equal `ends`.

        With a `window`, shards are put in random order, and images are shuffled within each `window` shards in turn.
        With `shards`, only these shards count, such as those of one of several processes.
        """
        if window is None and shards is None:
            return random.permutation(len(self))
        return joined(windows(random, self.ends, window, shards))

    def shrunk(self, factor: int) -> "ShardedImages":
        """Return the images with squares of `factor` pixels a side averaged, in memory or in a file.

        Training reads each image many times, so it is shrunk once instead of in every step.
        """
        if factor == 1 or not len(self):
            return self
        indices = np.array_split(np.arange(len(self)), -(-len(self) // SHRUNK_AT_ONCE))
        parts = (averaged(self.take(part)[0], factor) for part in indices)
        first = next(parts)
        if self.folder is None or len(self) * first[0].size <= MAPPED:
            return MemoryImages(np.concatenate([first, *parts]), self.labels, self.ends)
        with tempfile.TemporaryFile(dir=self.folder) as file:
            return MemoryImages(FileRows.stored(chain([first], parts), file), self.labels, self.ends)


class MemoryImages(ShardedImages):
    """The images (n, C, H, W) and labels of a split in one array."""

    def __init__(self, images: Images, labels: NDArray[np.int64], ends: Indices | None = None) -> None:
        """`ends` are those of the shards that the images come from."""
        self._images = [images]
        self.folder = None
        self.labels = labels
        self.ends = np.array([len(labels)]) if ends is None else ends


def _mapped(file: Path) -> NDArray[np.uint8]:
    """Map a file as a plain array: indexing a numpy.memmap takes several times as long."""
    return np.asarray(np.load(file, mmap_mode="r"))


def _size(files: Sequence[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def joined(parts: Iterable[Indices]) -> Indices:
    """Join arrays of numbers, or none."""
    return np.concatenate([np.empty(0, np.int64), *parts])


def joined_labels(files: Sequence[Path]) -> NDArray[np.int64]:
    return joined(map(np.load, files))


def windows(
    random: np.random.Generator, ends: Indices, window: int | None, shards: Sequence[int] | None = None
) -> list[Indices]:
    """Return the numbers of images by windows of shards, shuffled; see `ShardedImages.order`."""
    chosen = np.arange(len(ends)) if shards is None else np.array(shards, np.int64)
    chosen = random.permutation(chosen)
    starts = np.concatenate([[0], ends[:-1]])
    size = window or max(len(chosen), 1)
    parts = (chosen[first : first + size] for first in range(0, len(chosen), size))
    return [random.permutation(np.concatenate([np.arange(starts[s], ends[s]) for s in part])) for part in parts]


def taken(indices: Indices, ends: Indices, shard: Callable[[int], Images], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return images of several shards; `shard(number)` returns the images of one, and is called once for each."""
    shards = np.searchsorted(ends, indices, side="right")
    images = np.empty((len(indices), *shape), np.uint8)
    for number in np.unique(shards).tolist():
        mask = shards == number
        # A negative index, counted from the shard's end: no need to store where shards start.
        images[mask] = shard(number)[indices[mask] - ends[number]]
    return images


def averaged(images: Tensor, factor: int) -> NDArray[np.uint8]:
    """Return images with squares of `factor` pixels a side averaged."""
    return avg_pool2d(images.float(), factor).round().to(torch.uint8).numpy()


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

    def hashes(self, split: Split, indices: Indices) -> list[bytes]:
        """Return the SHA-256 digests of the original images at `indices` of a split."""
        column = read_index(self._index, ["sha256"], split)["sha256"]
        hashes: list[bytes] = column.take(pa.array(indices, pa.int64())).to_pylist()
        return hashes

    def names(self, indices: Indices) -> list[tuple[str | None, str | None]]:
        """Return the SHA-256 in hexadecimal digits and the path of training images."""
        rows = read_index(self._index, ["sha256", "path"], Split.TRAIN).take(pa.array(indices, pa.int64())).to_pylist()
        return [(row["sha256"].hex(), row["path"]) for row in rows]

    def sizes(self, split: Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the widths and heights of the original images of a split, in pixels."""
        rows = read_index(self._index, ["width", "height"], split)
        widths, heights = (rows[column].to_numpy().astype(np.float64) for column in ("width", "height"))
        return widths, heights

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
        channels, height, width = self.shape
        shape = (channels, height // factor, width // factor)
        return replace(self, train=self.train.shrunk(factor), val=self.val.shrunk(factor), shape=shape)


def batches(order: Indices, size: int) -> list[Indices]:
    """Cut `order` into batches of about `size` whose lengths differ by at most one.

    A batch has a single image only if that is the only image, because batch normalization needs two or more.
    """
    count = min(-(-len(order) // size), len(order) // 2)
    return np.array_split(order, max(count, 1))
