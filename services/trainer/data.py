"""The only place that reads shards and says which pictures make up a batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Indices = NDArray[np.int64]
ShardFiles = tuple[Path, Path]  # images.npy and labels.npy


class Pictures:
    """The uint8 pictures (n, C, H, W) and int64 labels (n,) of a split; only what is taken is read into memory."""

    def __init__(self, shards: Sequence[ShardFiles]) -> None:
        """Open the .npy files of (images, labels), one pair a shard; none makes an empty split."""
        self._images = [np.load(images, mmap_mode="r") for images, _ in shards]
        labels = [np.load(labels) for _, labels in shards]
        self.labels: NDArray[np.int64] = np.concatenate([*labels, np.empty(0, np.int64)])
        self._ends = np.cumsum([len(images) for images in self._images], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """The pictures and labels at `indices`, in that order."""
        shards = np.searchsorted(self._ends, indices, side="right")
        images = np.empty((len(indices), *self._images[0].shape[1:]), np.uint8)
        for number in np.unique(shards):
            here = shards == number
            # Counted from the shard's end, as a negative index: the starts need not be kept.
            images[here] = self._images[number][indices[here] - self._ends[number]]
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])


@dataclass(frozen=True)
class TrainingData:
    """What a training sees of a data set: pictures of (C, H, W), and mean and std per channel of pixels in 0..1."""

    train: Pictures
    val: Pictures
    shape: tuple[int, int, int]
    classes: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def batches(order: Indices, size: int) -> list[Indices]:
    """Cut `order` into batches of about `size` that differ in length by one at most.

    No batch has a single picture, of which batch normalisation could learn nothing, unless there is no other.
    """
    count = min(-(-len(order) // size), len(order) // 2)
    return np.array_split(order, max(count, 1))
