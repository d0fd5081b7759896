"""Read the images of a batch prediction: from a dataset's shards or an uploaded archive."""

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
class ImageItem:
    """An image as uint8 (channels, height, width), or the error that rejected it; and its true class, if known."""

    image: str | int
    pixels: NDArray[np.uint8] | BadImage
    label: str | None = None


class ImageSource(Protocol):
    """Images in a fixed order; `classes` are the classes of their labels, empty if there are none."""

    classes: tuple[str, ...]

    def __len__(self) -> int: ...

    def items(self, span: Slice) -> Iterator[ImageItem]:
        """Yield the images of a slice."""


class ShardSource:
    """The split of a dataset; fetches only the shards that a slice needs, one at a time, into `folder`."""

    def __init__(self, shards: tuple[Shard, ...], classes: tuple[str, ...], fetch: Fetch, folder: Path) -> None:
        self.classes = classes
        self._shards = shards
        self._fetch = fetch
        self._folder = folder

    def __len__(self) -> int:
        return sum(shard.count for shard in self._shards)

    def items(self, span: Slice) -> Iterator[ImageItem]:
        begin = 0
        for shard in self._shards:
            first, last = max(span.start, begin), min(span.stop, begin + shard.count)
            if first < last:
                images, labels = self._folder / "images.npy", self._folder / "labels.npy"
                self._fetch(shard.images, images)
                self._fetch(shard.labels, labels)
                pixels, numbers = np.load(images, mmap_mode="r"), np.load(labels)
                for number in range(first, last):
                    image = np.array(pixels[number - begin])  # a copy: the next shard overwrites this file
                    yield ImageItem(number, image, self.classes[numbers[number - begin]])
            begin += shard.count


class ArchiveSource:
    """All files of an archive, from every folder, sorted by name; a file that is not a readable image has an error."""

    classes: tuple[str, ...] = ()

    def __init__(self, archive: Archive, rejections: Rejections, image: ImageSpec) -> None:
        """`rejections` holds the files that the archive left out; raises BadArchive if there is no file at all."""
        rejected = [(file.file, file.reason) for file in rejections.first(len(rejections))]
        self._files = sorted([*((name, "") for name in archive.names), *rejected])
        self._archive = archive
        self._image = image
        if not self._files:
            raise BadArchive("the archive has no file to classify")

    def __len__(self) -> int:
        return len(self._files)

    def items(self, span: Slice) -> Iterator[ImageItem]:
        files = self._files[span.start : span.stop]
        readable = [name for name, reason in files if not reason]
        with closing(decoded(readable, self._archive, self._image)) as images:
            for name, reason in files:
                image = reason or next(images)[1]
                yield ImageItem(name, BadImage(image) if isinstance(image, str) else image.pixels)
