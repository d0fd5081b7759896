"""The images of a training that several processes share: all of them on the disk of each replica."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from contract.datasets import DatasetManifest, Split
from services.storage.objects import Artifacts
from services.trainer.data import IndexedImages, Indices, MemoryImages, ShardedImages, TrainingData, batches, numbers
from services.trainer.elastic.plan import Terms
from services.trainer.elastic.shards import cut

_READ = (Split.TRAIN, Split.VAL)


class Fetching(Protocol):
    """What `fetch_images` needs of a task."""

    folder: Path
    objects: Artifacts

    def check_stop(self) -> None: ...


def digest(dataset: DatasetManifest) -> str:
    """Return a hash of the images that a training reads."""
    shards = [(split, shard) for split in _READ for shard in dataset.shards.get(split, ())]
    hashes = [(str(split), shard.images.sha256, shard.labels.sha256) for split, shard in shards]
    return hashlib.sha256(repr(hashes).encode()).hexdigest()


def fetch_images(task: Fetching, dataset: DatasetManifest) -> None:
    """Download the shards that are not in the task's folder yet."""
    for split in _READ:
        for number, shard in enumerate(dataset.shards.get(split, ())):
            for name, file in (("images", shard.images), ("labels", shard.labels)):
                task.check_stop()
                path = task.folder / f"{split}-{number}-{name}.npy"
                if not path.exists():
                    task.objects.fetch(file, path)


def open_images(folder: Path, terms: Terms) -> TrainingData:
    """Open the images in a folder; they are shrunk once, for all rounds."""
    index, factor = folder / "index.parquet", terms.recipe.shrink
    whole = {split: _whole(folder, split) for split in _READ}
    data = TrainingData(
        train=whole[Split.TRAIN],
        val=whole[Split.VAL],
        shape=terms.shape,
        classes=terms.classes,
        mean=terms.mean,
        std=terms.std,
        describe=IndexedImages(index).describe if index.exists() else numbers,
    )
    if factor == 1:
        return data
    paths = {split: folder / f"shrunk-{split}-{factor}.npy" for split in _READ}
    if not all(path.exists() for path in paths.values()):
        small = data.shrunk(factor)
        for split, images in ((Split.TRAIN, small.train), (Split.VAL, small.val)):
            written = paths[split].with_suffix(".part.npy")
            np.save(written, images.take(np.arange(len(images)))[0].numpy() if len(images) else np.empty(0, np.uint8))
            written.rename(paths[split])
    train, val = (_stored(paths[split], whole[split]) for split in _READ)
    channels, height, width = terms.shape
    return replace(data, train=train, val=val, shape=(channels, height // factor, width // factor))


def epoch_order(data: TrainingData, terms: Terms, number: int) -> list[list[Indices]]:
    """Return the images of each step of epoch `number`, cut into virtual shards; the same in every process."""
    random = np.random.default_rng((terms.recipe.seed, number))
    order = batches(random.permutation(len(data.train)), terms.recipe.batch_size)
    return [cut(batch, terms.shards) for batch in order]


def _whole(folder: Path, split: Split) -> ShardedImages:
    names = [f"{split}-{number}" for number in range(len(list(folder.glob(f"{split}-*-images.npy"))))]
    return ShardedImages([(folder / f"{name}-images.npy", folder / f"{name}-labels.npy") for name in names])


def _stored(path: Path, whole: ShardedImages) -> ShardedImages:
    return MemoryImages(np.asarray(np.load(path, mmap_mode="r")), whole.labels) if len(whole) else whole
