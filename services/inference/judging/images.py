"""The labelled images that an evaluation judges: from shards, or decoded again from the originals."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.datasets import DatasetManifest, Split
from contract.errors import Invalid
from contract.images import ImageSpec
from contract.references import Reference
from media.archives.archive import Archive
from media.archives.decoding import decoded
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from media.image_index import read_index
from services.inference.batch.sources import ShardSource
from worker.slicing import Slice
from worker.task import Task

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Originals:
    """The index of a split in the order of its shards: the names of the originals, and their hashes."""

    paths: tuple[str, ...]
    hashes: tuple[str, ...]


def originals(task: Task, dataset: DatasetManifest, split: Split) -> Originals | None:
    """Fetch the index of a split; None if the version has none."""
    if dataset.index is None:
        return None
    file = task.folder / "index.parquet"
    if not file.exists():
        task.objects.fetch(dataset.index, file)
    rows = read_index(file, ["path", "sha256"], split)
    count = sum(shard.count for shard in dataset.shards.get(split, ()))
    if len(rows) != count:
        raise Invalid(f"the index of the dataset has {len(rows)} images of the {split} split, its shards have {count}")
    return Originals(tuple(rows["path"].to_pylist()), tuple(value.hex() for value in rows["sha256"].to_pylist()))


def labels_of(task: Task, dataset: DatasetManifest, split: Split) -> NDArray[np.int64]:
    """Fetch the class numbers of a split."""
    file = task.folder / "labels.npy"
    labels = [np.empty(0, np.int64)]
    for shard in dataset.shards.get(split, ()):
        task.objects.fetch(shard.labels, file)
        labels.append(np.load(file))
    return np.concatenate(labels)


@contextmanager
def opened(
    task: Task, reference: Reference, dataset: DatasetManifest, split: Split, span: Slice, image: ImageSpec
) -> Iterator[Iterator[Pixels | None]]:
    """Open a slice of a split as images of this spec, uint8 (channels, height, width).

    They come from the shards if the dataset has that spec, otherwise from the archive, which is fetched once. An
    original that cannot be decoded any more is None.
    """
    if image == dataset.image:
        source = ShardSource(dataset.shards[split], dataset.classes, task.objects.fetch, task.folder)
        yield (item.pixels if isinstance(item.pixels, np.ndarray) else None for item in source.items(span))
        return
    index = originals(task, dataset, split)
    if index is None:
        raise Invalid(f"the dataset {reference} has no index of its images")  # checked when the job was submitted
    path = task.folder / "archive.zip"
    if not path.exists():
        task.objects.fetch(task.uploads.ref(task.datasets.upload(reference)), path)
    with (
        Archive(path, Limits(), Rejections()) as archive,
        closing(decoded(index.paths[span.start : span.stop], archive, image)) as images,
    ):
        yield (pixels if isinstance(pixels, np.ndarray) else None for _, pixels in images)
