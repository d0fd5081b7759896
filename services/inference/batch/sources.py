"""The only place that finds the pictures of a batch prediction."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.datasets import Shard
from contract.errors import BadArchive, BadImage
from contract.images import ImageSpec
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.rejections import Rejections
from worker.slicing import Slice

Fetch = Callable[[ObjectRef, Path], None]


@dataclass(frozen=True)
class Item:
    """A picture as uint8 (channels, height, width), or why there is none; its true class where that is known."""

    image: str | int
    pixels: NDArray[np.uint8] | BadImage
    label: str | None = None


class Source(Protocol):
    """Pictures in an order that is the same every time; `classes` are those of their labels."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def items(self, span: Slice) -> Iterator[Item]:
        """The pictures of a span, one after the other."""


class ShardSource:
    """The split of a data set; only the shards that a span needs are fetched, into `folder`, one at a time."""

    def __init__(self, shards: tuple[Shard, ...], classes: tuple[str, ...], fetch: Fetch, folder: Path) -> None:
        self.classes = classes
        self._shards = shards
        self._fetch = fetch
        self._folder = folder

    def __len__(self) -> int:
        return sum(shard.count for shard in self._shards)

    def items(self, span: Slice) -> Iterator[Item]:
        begin = 0
        for shard in self._shards:
            first, last = max(span.start, begin), min(span.stop, begin + shard.count)
            if first < last:
                images, labels = self._folder / "images.npy", self._folder / "labels.npy"
                self._fetch(shard.images, images)
                self._fetch(shard.labels, labels)
                pictures, numbers = np.load(images, mmap_mode="r"), np.load(labels)
                for number in range(first, last):
                    pixels = np.array(pictures[number - begin])  # a copy: the next shard takes the place of this file
                    yield Item(number, pixels, self.classes[numbers[number - begin]])
            begin += shard.count


class ArchiveSource:
    """Every file of an archive in any folder, by name; what cannot be read as a picture has its reason."""

    classes: tuple[str, ...] = ()

    def __init__(self, archive: Archive, rejections: Rejections, image: ImageSpec) -> None:
        """`rejections` are of the files that the archive was opened without; raises BadArchive if there is no file."""
        rejected = [(file.file, file.reason) for file in rejections.first(len(rejections))]
        self._files = sorted([*((name, "") for name in archive.names), *rejected])
        self._archive = archive
        self._image = image
        if not self._files:
            raise BadArchive("the archive has no file to classify")

    def __len__(self) -> int:
        return len(self._files)

    def items(self, span: Slice) -> Iterator[Item]:
        files = self._files[span.start : span.stop]
        readable = [name for name, reason in files if not reason]
        with closing(decoded(readable, self._archive, self._image)) as pictures:
            for name, reason in files:
                pixels = reason or next(pictures)[1]
                yield Item(name, BadImage(pixels) if isinstance(pixels, str) else pixels)
