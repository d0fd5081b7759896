"""Cached features of a dataset."""

from pathlib import Path

import numpy as np

from contract.images import ImageSpec, Preprocessing
from services.trainer.feature_cache import FeatureCache, features_key
from tests.support.training_task import MemoryTask

HASHES = [bytes([number]) * 32 for number in range(3)]


def rows(positions: np.ndarray) -> np.ndarray:
    return np.stack([np.full(4, position, np.float32) for position in positions])


def test_only_missing_features_are_computed(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True)
    first = FeatureCache(task, "bugs", "key")
    first.complete(HASHES[:2], rows)
    task.cached["bugs/key"] = first.save()
    asked: list[list[int]] = []

    second = FeatureCache(task, "bugs", "key")
    features = second.complete([HASHES[1], HASHES[2]], lambda missing: asked.append(missing.tolist()) or rows(missing))

    assert asked == [[1]]
    assert features[:, 0].tolist() == [1, 1]
    assert second.save() is not None


def test_complete_features_are_not_stored_again(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True)
    first = FeatureCache(task, "bugs", "key")
    first.complete(HASHES, rows)
    task.cached["bugs/key"] = first.save()

    second = FeatureCache(task, "bugs", "key")
    second.complete(HASHES, rows)

    assert second.save() is None


def test_the_key_depends_on_network_and_preprocessing() -> None:
    images = [Preprocessing(image=ImageSpec(size=(side, side)), mean=(0.5,) * 3, std=(0.5,) * 3) for side in (8, 9)]

    keys = {features_key(network, image) for network in ("lite0", "net@1") for image in images}

    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
