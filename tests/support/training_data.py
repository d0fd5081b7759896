"""Makes tiny datasets and specs for training."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.kinds.train import Replicas, TrainSpec
from services.trainer.data import ShardedImages, ShardFiles, TrainingData
from services.trainer.elastic.plan import Terms
from services.trainer.recipe import Recipe

MEAN = 0.5
STD = 0.25


def stored(
    folder: Path, name: str, images: NDArray[np.uint8], labels: NDArray[np.int64], shards: int = 1
) -> list[ShardFiles]:
    """Save images (n, C, H, W) and labels (n,) as `shards` shards."""
    files = []
    parts = zip(np.array_split(images, shards), np.array_split(labels, shards), strict=True)
    for number, (part_images, part_labels) in enumerate(parts):
        pair = folder / f"{name}-{number}-images.npy", folder / f"{name}-{number}-labels.npy"
        np.save(pair[0], part_images)
        np.save(pair[1], part_labels)
        files.append(pair)
    return files


def separable(
    count: int, classes: int = 3, shape: tuple[int, int, int] = (3, 8, 8), seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Make noisy images (count, *shape) whose brightness depends on their class, and their labels (count,)."""
    labels = np.arange(count) % classes
    brightness = (labels + 0.5) * 255 / classes
    noise = np.random.default_rng(seed).normal(0, 10, (count, *shape))
    return np.clip(brightness[:, None, None, None] + noise, 0, 255).astype(np.uint8), labels


def training_data(
    folder: Path, train: int = 60, val: int = 30, classes: int = 3, shape: tuple[int, int, int] = (3, 8, 8)
) -> TrainingData:
    """Make a separable dataset of that many images; without a validation split if `val` is 0."""
    return TrainingData(
        train=ShardedImages(stored(folder, "train", *separable(train, classes, shape, seed=1))),
        val=ShardedImages(stored(folder, "val", *separable(val, classes, shape, seed=2)) if val else []),
        shape=shape,
        classes=classes,
        mean=(MEAN,) * shape[0],
        std=(STD,) * shape[0],
    )


def train_spec(**changes: Any) -> TrainSpec:
    """Make a spec of three epochs in small batches, by default for the CNN."""
    fixed = {"dataset": "set@1", "model": "net", "architecture": {"name": "cnn"}, "epochs": 3, "batch_size": 16}
    return TrainSpec.model_validate(fixed | changes)


def recipe(**changes: Any) -> Recipe:
    """Make the recipe of `train_spec`."""
    return Recipe.of(train_spec(**changes))


def spec_of(**fields: Any) -> TrainSpec:
    """Make a spec with these fields and no other."""
    return TrainSpec.model_validate({"dataset": "set@1", "model": "net"} | fields)


def terms(spec: Recipe, shards: int = 4) -> Terms:
    """Make the terms of a training of `training_data` on up to two replicas."""
    return Terms(
        recipe=spec,
        shape=(3, 8, 8),
        classes=3,
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        shards=shards,
        timeout_s=10.0,
        dataset="bugs@1",
        data="hash",
        replicas=Replicas(max=2, shards=shards),
    )
