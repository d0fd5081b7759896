"""The shards of a dataset for a training: all on disk, or streamed if they are larger than its scratch space."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest, Split
from contract.errors import JobFailed
from contract.tracing import traced
from services.trainer.data import ShardedImages, ShardFiles, joined_labels
from services.trainer.settings import TrainingSettings
from services.trainer.shard_cache import ShardCache
from services.trainer.streaming import StreamedFiles, StreamedImages, window_of
from worker.task import Task

WORDS = {Split.TRAIN: "training", Split.VAL: "validation", Split.TEST: "test"}
SHARE = 0.5  # of the free disk, for shards
FULL_SHARE = 0.95  # if all images must be there, or were: a training that resumes may have begun with all on disk


@dataclass(frozen=True)
class Shards:
    """The images and the files of each split."""

    images: Mapping[Split, ShardedImages]
    files: Mapping[Split, Sequence[ShardFiles]]


@contextmanager
def opened_shards(task: Task, dataset: DatasetManifest, streams: bool = True) -> Iterator[Shards]:
    """Open the shards of a dataset: download all of them, or some at a time if `streams`.

    Raises JobFailed if there is no room.
    """
    sizes = [shard.images.size for shards in dataset.shards.values() for shard in shards]
    budget = _budget(task, FULL_SHARE if task.checkpoint or not streams else SHARE)
    if sum(sizes) <= budget:
        files = _fetched(task, dataset)
        yield Shards({split: ShardedImages(files[split]) for split in Split}, files)
        return
    if not streams:
        raise JobFailed(
            f"the images take {sum(sizes) >> 20} MiB, more than the {budget >> 20} MiB that this worker keeps on its "
            "disk, and a training with replicas needs all of them there; leave out replicas, or raise "
            "TIDEPOOL_TRAINING_SCRATCH_BYTES or the free disk of every trainer"
        )
    window = window_of(budget, max(sizes))
    task.log(
        f"the images take {sum(sizes) >> 20} MiB, more than the {budget >> 20} MiB that this worker keeps on its disk: "
        f"they are loaded while the training runs, and shuffled within {window} files of images at a time"
    )
    cache = ShardCache(task.folder, budget, task.objects.fetch)
    try:
        yield _streamed(task, dataset, cache, window)
    finally:
        cache.close()


def _budget(task: Task, share: float) -> int:
    """Return how many bytes of shards to keep on disk."""
    if (fixed := TrainingSettings().scratch_bytes) is not None:
        return fixed
    return int(shutil.disk_usage(task.folder).free * share)


def _streamed(task: Task, dataset: DatasetManifest, cache: ShardCache, window: int) -> Shards:
    images: dict[Split, ShardedImages] = {}
    files: dict[Split, Sequence[ShardFiles]] = {}
    for split in Split:
        shards = dataset.shards.get(split, ())
        references = [shard.images for shard in shards]
        labels = [_fetch(task, split, shard.labels, f"{split}-{number}-labels") for number, shard in enumerate(shards)]
        counts = np.array([shard.count for shard in shards], np.int64)
        fixed = (joined_labels(labels), counts.cumsum(), dataset.image.shape, window)
        images[split] = StreamedImages(cache, references, *fixed)
        files[split] = StreamedFiles(cache, references, labels)
    return Shards(images, files)


@traced("fetch shards")
def _fetched(task: Task, dataset: DatasetManifest) -> dict[Split, list[ShardFiles]]:
    """Download the dataset's shards into the task's folder."""
    files: dict[Split, list[ShardFiles]] = {split: [] for split in Split}
    for split, shards in dataset.shards.items():
        for number, shard in enumerate(shards):
            images = _fetch(task, split, shard.images, f"{split}-{number}-images")
            files[split].append((images, _fetch(task, split, shard.labels, f"{split}-{number}-labels")))
    return files


def _fetch(task: Task, split: Split, reference: ObjectRef, name: str) -> Path:
    task.report(0.0, f"loading the {WORDS[split]} images")
    path = task.folder / f"{name}.npy"
    task.objects.fetch(reference, path)
    return path
