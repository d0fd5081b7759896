"""Turn an archive into prepared parts of a dataset. Does not depend on jobs, the database or the object store."""

import base64
import io
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np
from PIL import Image

from contract.datasets import Shard, Split, Thumbnail
from contract.images import ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import ImageFile, arrange
from services.preprocess.parts import PreparedPart
from services.preprocess.shards import ShardFile, ShardWriter
from services.preprocess.split import assign_splits
from services.preprocess.statistics import Moments
from worker.slicing import Slice

MOST_THUMBNAILS = 20
MAX_THUMBNAIL_SIDE = 64
_STEP_S = 0.2

OnStep = Callable[[float, str], None]
Store = Callable[[ShardFile], Shard]


@dataclass(frozen=True)
class Preparation:
    """An open archive and its images in processing order; `rejections` are files excluded before reading.

    `images` is ordered by split and shuffled within each; it is the same for the same archive and spec.
    """

    archive: Archive
    classes: tuple[str, ...]
    images: tuple[tuple[Split, ImageFile], ...]
    image: ImageSpec
    rejections: Rejections

    @property
    def whole(self) -> Slice:
        return Slice(start=0, stop=len(self.images))

    def prepare(self, part: Slice, folder: Path, store: Store, on_step: OnStep) -> PreparedPart:
        """Decode and measure the images of a slice, write their shards to `folder` and `store` them.

        Unusable files are skipped and listed; the first slice includes what `opened` read and rejected. Raise
        BadArchive if the archive is unusable. `on_step(fraction, message)` is called about every 0.2 s; its exceptions
        pass through.
        """
        rejections = Rejections()
        inflated_before = self.archive.inflated if part.start else 0
        if part.start == 0:
            rejections.merge(len(self.rejections), self.rejections.first())
        images = self.images[part.start : part.stop]
        tally = _Tally(self.classes)
        progress = _Progress(len(part), on_step)
        index = {label: number for number, label in enumerate(self.classes)}
        shards: dict[Split, tuple[Shard, ...]] = dict.fromkeys(Split, ())
        moments = Moments()
        with closing(decoded([image.name for _, image in images], self.archive, self.image)) as results:
            for split, members in groupby(images, key=itemgetter(0)):
                writer = ShardWriter(folder, split, self.image.shape)
                for (_, image), (_, result) in zip(members, results, strict=False):
                    if isinstance(result, str):
                        rejections.add(image.name, result)
                    else:
                        writer.add(result.pixels, index[image.label])
                        tally.add(split, image.label, result.pixels)
                    progress.step()
                files = writer.finish()
                if split is Split.TRAIN:
                    moments = Moments.of(file.images for file in files)
                shards[split] = tuple(map(store, files))
        on_step(1.0, f"{len(part)} images prepared")
        return PreparedPart(
            counts_by_class=tally.counts,
            shards=shards,
            moments=moments,
            inflated=self.archive.inflated - inflated_before,
            rejected=len(rejections),
            rejected_files=rejections.first(),
            thumbnails=tuple(tally.thumbnails.values()),
        )


@contextmanager
def opened(path: Path, spec: PreprocessSpec, limits: Limits) -> Iterator[Preparation]:
    """Open a zip file. Raise BadArchive if it is unreadable, BadDataset if its files do not form a dataset."""
    rejections = Rejections()
    with Archive(path, limits, rejections) as archive:
        images = arrange(archive.names, archive.read, archive.limits, rejections)
        by_split = assign_splits(images, spec.split)
        ordered = tuple((split, image) for split, members in by_split.items() for image in members)
        classes = tuple(sorted({image.label for image in images}))
        yield Preparation(archive, classes, ordered, spec.image.spec or ImageSpec(), rejections)


def data_uri(pixels: np.ndarray) -> str:
    """Encode uint8 (1 or 3 channels, height, width) as a PNG data URI of at most MAX_THUMBNAIL_SIDE pixels a side."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((MAX_THUMBNAIL_SIDE, MAX_THUMBNAIL_SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


class _Tally:
    """Counts usable images by split and class, and keeps a thumbnail for each of the first MOST_THUMBNAILS classes."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.counts = {split: dict.fromkeys(classes, 0) for split in Split}
        self.thumbnails: dict[str, Thumbnail] = {}
        self._shown = frozenset(classes[:MOST_THUMBNAILS])

    def add(self, split: Split, label: str, pixels: np.ndarray) -> None:
        self.counts[split][label] += 1
        if label in self._shown and label not in self.thumbnails:
            self.thumbnails[label] = Thumbnail(label=label, image=data_uri(pixels))


class _Progress:
    """Counts images and reports at most every 0.2 s, so that reporting costs next to nothing."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        self._total = total
        self._done = 0
        self._on_step = on_step
        self._due = time.monotonic()

    def step(self) -> None:
        self._done += 1
        if time.monotonic() >= self._due:
            self._on_step(self._done / self._total, f"{self._done} of {self._total} images")
            self._due = time.monotonic() + _STEP_S
