"""Read the images of a batch prediction: from a dataset's shards or an uploaded archive."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.artifacts import ObjectRef
from contract.datasets import Shard
from contract.errors import BadArchive, BadImage
from contract.images import ImageSpec
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from worker.members import Members, nowhere, with_places
from worker.originals import Originals
from worker.slicing import Slice

Fetch = Callable[[ObjectRef, Path], None]


@dataclass(frozen=True)
class ImageItem:
    """An image as uint8 (channels, height, width), or the error that rejected it; and its true class, if known."""

    image: str | int
    pixels: NDArray[np.uint8] | BadImage
    label: str | None = None
    sha256: str | None = None


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
    """Files of an archive, in its order; a file that is not a readable image has an error."""

    classes: tuple[str, ...] = ()

    def __init__(self, members: Members, image: ImageSpec) -> None:
        self._members = members
        self._image = image

    def __len__(self) -> int:
        return len(self._members)

    def items(self, span: Slice) -> Iterator[ImageItem]:
        """Yield all files; they cannot be divided further."""
        originals = Originals(self._members)
        with closing(decoded(originals.paths, originals, self._image)) as images:
            for number, (path, image) in enumerate(images):
                pixels = BadImage(image) if isinstance(image, str) else image.pixels
                yield ImageItem(path, pixels, sha256=originals.sha256(number))


def planned_files(path: Path, limits: Limits) -> pa.Table:
    """Return a row for each file of an archive, from every folder, in its order: `path` and `reason` if rejected.

    Raise BadArchive if it cannot be read or there is no file at all.
    """
    rejections = Rejections()
    with Archive(path, limits, rejections) as archive:
        places = [archive.place(name) for name in archive.names]
        rejected = rejections.first(len(rejections))
        if not places and not rejected:
            raise BadArchive("the archive has no file to classify")
        names = [*archive.names, *(file.file for file in rejected)]
        reasons = [*(None for _ in places), *(file.reason for file in rejected)]
    rows = pa.table({"path": names, "reason": pa.array(reasons, pa.string())})
    return with_places(rows, [*places, *(nowhere(path) for _ in rejected)])
