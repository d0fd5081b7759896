"""The only place that turns an archive into a data set: bytes in, arrays out, no jobs, no SQL, no S3."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.datasets import Counts, Rejected, Split, Thumbnail
from contract.errors import BadDataset
from contract.jobs import PreprocessSpec
from services.preprocess import thumbnails
from services.preprocess.archive import Archive
from services.preprocess.decoding import decoded
from services.preprocess.layout import arrange
from services.preprocess.limits import Limits
from services.preprocess.rejections import Rejections, shown
from services.preprocess.shards import ShardFile, ShardWriter
from services.preprocess.split import divide
from services.preprocess.statistics import mean_and_std

MOST_THUMBNAILS = 20
_STEP_S = 0.2

OnStep = Callable[[float, str], None]


@dataclass(frozen=True)
class Prepared:
    """A data set in a folder; `mean` and `std` are of the training pixels scaled to 0..1, `rejected` counts all."""

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    counts_by_class: dict[Split, dict[str, int]]
    shards: dict[Split, tuple[ShardFile, ...]]
    rejected: int
    rejected_files: tuple[Rejected, ...]
    thumbnails: tuple[Thumbnail, ...]

    @property
    def counts(self) -> Counts:
        return Counts(**{split.value: sum(counts.values()) for split, counts in self.counts_by_class.items()})


def prepare(archive_path: Path, spec: PreprocessSpec, folder: Path, limits: Limits, on_step: OnStep) -> Prepared:
    """Decode, divide and measure the pictures of a zip file, and leave them as shards in `folder`.

    Files that cannot be used are left out and listed. Raises BadArchive, or BadDataset where there are no two classes
    or a class has no usable training picture. `on_step(fraction, message)` is called about every 0.2 s, and whatever
    it raises ends the work.
    """
    rejections = Rejections()
    with Archive(archive_path, limits, rejections) as archive:
        pictures = arrange(archive.names, archive.read, limits, rejections)
        classes = tuple(sorted({picture.label for picture in pictures}))
        index = {label: number for number, label in enumerate(classes)}
        gathered = _Gathered(classes)
        shards: dict[Split, tuple[ShardFile, ...]] = {}
        pace = _Pace(len(pictures), on_step)
        for split, members in divide(pictures, spec.split).items():
            writer = ShardWriter(folder, split, spec.image.shape)
            with closing(decoded(members, archive, spec.image, limits.pixels)) as results:
                for picture, pixels in results:
                    if isinstance(pixels, str):
                        rejections.add(picture.name, pixels)
                    else:
                        writer.add(pixels, index[picture.label])
                        gathered.add(split, picture.label, pixels)
                    pace.step()
            shards[split] = writer.finish()
            _check_training(gathered.counts[Split.TRAIN], rejections)
    mean, std = mean_and_std(shard.images for shard in shards[Split.TRAIN])
    on_step(1.0, f"{len(pictures)} pictures prepared")
    return Prepared(
        classes=classes,
        mean=mean,
        std=std,
        counts_by_class=gathered.counts,
        shards=shards,
        rejected=len(rejections),
        rejected_files=rejections.first(),
        thumbnails=tuple(gathered.thumbnails[label] for label in classes[:MOST_THUMBNAILS]),
    )


def _check_training(counts: dict[str, int], rejections: Rejections) -> None:
    """Refuse a data set in which nothing of a class can be learnt; called first when the training split is done."""
    missing = [label for label, count in counts.items() if count == 0]
    if len(missing) == len(counts):
        raise BadDataset(f"no training picture can be used{rejections.summary()}")
    if missing:
        raise BadDataset(f"class {shown(missing[0])!r} has no usable training picture{rejections.summary()}")


class _Gathered:
    """How many pictures came through, by split and class, and a thumbnail of the first of each of the first classes."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.counts = {split: dict.fromkeys(classes, 0) for split in Split}
        self.thumbnails: dict[str, Thumbnail] = {}
        self._shown = frozenset(classes[:MOST_THUMBNAILS])

    def add(self, split: Split, label: str, pixels: np.ndarray) -> None:
        self.counts[split][label] += 1
        if label in self._shown and label not in self.thumbnails:
            self.thumbnails[label] = Thumbnail(label=label, image=thumbnails.data_uri(pixels))


class _Pace:
    """Counts pictures, and reports seldom enough that reporting costs nothing."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        self._total = total
        self._done = 0
        self._on_step = on_step
        self._due = time.monotonic()

    def step(self) -> None:
        self._done += 1
        if time.monotonic() >= self._due:
            self._on_step(self._done / self._total, f"{self._done} of {self._total} pictures")
            self._due = time.monotonic() + _STEP_S
