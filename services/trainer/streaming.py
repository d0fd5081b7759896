"""Images of a data set that is larger than the scratch space: shards are fetched while the training needs them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import torch
from torch import Tensor

from contract.artifacts import ObjectRef
from contract.errors import JobFailed
from services.trainer.data import Indices, ShardedImages, ShardFiles, joined, taken, windows
from services.trainer.file_rows import FileRows
from services.trainer.shard_cache import Item, ShardCache

MOST_WINDOW = 16  # shards, 1 GiB: larger windows shuffle no better, and need more scratch space


def window_of(budget: int, largest: int) -> int:
    """Return how many shards of up to `largest` bytes to shuffle together: two such windows fit into the budget.

    A power of two, so that trainers with slightly different disks shuffle alike. Raise JobFailed if there is no room
    for two shards.
    """
    most = budget // (2 * max(largest, 1))
    if most < 1:
        raise JobFailed(
            f"the images do not fit on the worker: it may keep {budget >> 20} MiB of them on its disk, and needs at "
            f"least {-(-2 * largest >> 20)} MiB; set TIDEPOOL_TRAINING_SCRATCH_BYTES, or free disk space"
        )
    return min(1 << (most.bit_length() - 1), MOST_WINDOW)


class StreamedImages(ShardedImages):
    """The images of a split, of which the cache holds some shards."""

    def __init__(
        self,
        cache: ShardCache,
        shards: Sequence[ObjectRef],
        labels: Indices,
        ends: Indices,
        shape: tuple[int, int, int],
        window: int,
        factor: int = 1,
    ) -> None:
        """`shards` are the files of images; images have the `shape` (C, H, W) before they are shrunk."""
        channels, height, width = shape
        self.labels, self.ends, self.window, self.folder = labels, ends, window, None
        self._shards = shards
        self._shape = shape
        self._factor = factor
        self._image_shape = (channels, height // factor, width // factor)
        self._cache = cache
        self._items = [Item.of(images, factor) for images in shards]
        self._windows = [[number] for number in range(len(shards))]  # in order, until `order` says another one

    def take(self, indices: Indices) -> tuple[Tensor, Tensor]:
        """Return the images and labels at `indices`, in that order; begin to fetch the shards of the next window."""
        numbers = set(np.searchsorted(self.ends, indices, side="right").tolist())
        keep = self._ahead(numbers)

        def shard(number: int) -> FileRows:
            return self._cache.get(self._items[number], keep)

        images = taken(indices, self.ends, shard, self._image_shape)
        return torch.from_numpy(images), torch.from_numpy(self.labels[indices])

    def order(
        self, random: np.random.Generator, window: int | None = None, shards: Sequence[int] | None = None
    ) -> Indices:
        """Return the numbers of all images by windows of shards; raises JobFailed without a window."""
        if window is None:
            raise JobFailed(
                "this training began on a worker with room for all of its images, and this one has less; give it as "
                "much scratch space, or submit the job again"
            )
        parts = windows(random, self.ends, window, shards)
        self._windows = [np.unique(np.searchsorted(self.ends, part, side="right")).tolist() for part in parts]
        return joined(parts)

    def shrunk(self, factor: int) -> ShardedImages:
        """Return the images with squares of `factor` pixels a side averaged, which is done when a shard is fetched."""
        if factor == 1 or not len(self):
            return self
        fixed = (self._cache, self._shards, self.labels, self.ends, self._shape, self.window or 1)
        return StreamedImages(*fixed, factor=self._factor * factor)

    def _ahead(self, numbers: set[int]) -> set[Item]:
        """Fetch the window of these shards and the next one in advance; return their items."""
        last = max((at for at, window in enumerate(self._windows) if not numbers.isdisjoint(window)), default=0)
        upcoming = [self._items[number] for window in self._windows[last : last + 2] for number in window]
        keep = {self._items[number] for number in numbers}.union(upcoming)
        self._cache.prefetch(upcoming, keep)
        return keep


class StreamedFiles(Sequence[ShardFiles]):
    """The files of the shards of a split; that of the images is fetched when it is asked for, and stays for a while."""

    def __init__(self, cache: ShardCache, shards: Sequence[ObjectRef], labels: Sequence[Path]) -> None:
        self._cache = cache
        self._items = [Item.of(images) for images in shards]
        self._labels = labels

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[ShardFiles]:
        return (self[number] for number in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> ShardFiles: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[ShardFiles]: ...

    def __getitem__(self, index: int | slice) -> ShardFiles | Sequence[ShardFiles]:
        if isinstance(index, slice):
            return [self[number] for number in range(len(self))[index]]
        following = self._items[index + 1 : index + 2]
        path = self._cache.path(self._items[index])
        self._cache.prefetch(following, {self._items[index], *following})
        return path, self._labels[index]
