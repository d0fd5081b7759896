"""Turn an archive into pieces of a data set. Does not depend on jobs, the database or the object store."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import numpy as np

from contract.datasets import Shard, Split, Thumbnail
from contract.images import ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess import thumbnails
from services.preprocess.piece import Piece
from services.preprocess.plan import Plan
from services.preprocess.shards import ShardFile, ShardWriter
from services.preprocess.statistics import Moments
from worker.slicing import Slice

MOST_THUMBNAILS = 20
_STEP_S = 0.2

OnStep = Callable[[float, str], None]
Store = Callable[[ShardFile], Shard]


@dataclass(frozen=True)
class Preparation:
    """An open archive, and the plan of what becomes of it; `rejections` are of files that it does not even read."""

    archive: Archive
    plan: Plan
    image: ImageSpec
    rejections: Rejections

    @property
    def whole(self) -> Slice:
        return Slice(start=0, stop=len(self.plan.images))

    def piece(self, span: Slice, folder: Path, store: Store, on_step: OnStep) -> Piece:
        """Decode and measure the images of a span, and `store` the shards that they make in `folder`.

        Files that cannot be used are left out and listed; what the archive was opened for counts to its first span.
        Raises BadArchive. `on_step(fraction, message)` is called about every 0.2 s, and whatever it raises ends the
        work.
        """
        rejections = Rejections()
        inflated_before = self.archive.inflated
        if span.start == 0:
            rejections.merge(len(self.rejections), self.rejections.first())
            inflated_before = 0
        images = self.plan.images[span.start : span.stop]
        gathered = _Gathered(self.plan.classes)
        pace = _Pace(len(span), on_step)
        index = {label: number for number, label in enumerate(self.plan.classes)}
        shards: dict[Split, tuple[Shard, ...]] = dict.fromkeys(Split, ())
        moments = Moments()
        with closing(decoded([image.name for _, image in images], self.archive, self.image)) as results:
            for split, members in groupby(images, key=itemgetter(0)):
                writer = ShardWriter(folder, split, self.image.shape)
                for (_, image), (_, pixels) in zip(members, results, strict=False):
                    if isinstance(pixels, str):
                        rejections.add(image.name, pixels)
                    else:
                        writer.add(pixels, index[image.label])
                        gathered.add(split, image.label, pixels)
                    pace.step()
                files = writer.finish()
                if split is Split.TRAIN:
                    moments = Moments.of(file.images for file in files)
                shards[split] = tuple(map(store, files))
        on_step(1.0, f"{len(span)} images prepared")
        return Piece(
            counts_by_class=gathered.counts,
            shards=shards,
            moments=moments,
            inflated=self.archive.inflated - inflated_before,
            rejected=len(rejections),
            rejected_files=rejections.first(),
            thumbnails=tuple(gathered.thumbnails.values()),
        )


@contextmanager
def opened(path: Path, spec: PreprocessSpec, limits: Limits) -> Iterator[Preparation]:
    """A zip file, ready to be prepared; raises BadArchive, or BadDataset where its names make no data set."""
    rejections = Rejections()
    with Archive(path, limits, rejections) as archive:
        yield Preparation(archive, Plan.of(archive, spec.split, rejections), spec.image, rejections)


class _Gathered:
    """How many images came through, by split and class, and a thumbnail of the first of each of the first classes."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.counts = {split: dict.fromkeys(classes, 0) for split in Split}
        self.thumbnails: dict[str, Thumbnail] = {}
        self._shown = frozenset(classes[:MOST_THUMBNAILS])

    def add(self, split: Split, label: str, pixels: np.ndarray) -> None:
        self.counts[split][label] += 1
        if label in self._shown and label not in self.thumbnails:
            self.thumbnails[label] = Thumbnail(label=label, image=thumbnails.data_uri(pixels))


class _Pace:
    """Counts images, and reports seldom enough that reporting costs nothing."""

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
