"""Cached features of a dataset."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from contract.images import ImageSpec, Preprocessing
from contract.jobs import JobKind
from services.trainer.feature_cache import FeatureCache, features_key
from services.trainer.feature_source import FeatureSource
from tests.support.training_data import spec_of
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


def test_what_another_trial_has_computed_is_kept_for_the_images_that_are_left(tmp_path: Path) -> None:
    # given trials whose features are not those of the dataset yet, the last of them with another network
    task = MemoryTask(tmp_path, auto=True)
    files = []
    for key in ("key", "other"):
        cache = FeatureCache(task, "bugs", key)
        cache.complete(HASHES[:2], rows)
        files.append(cache.save())
    asked: list[list[int]] = []

    # when a later trial asks for one of these images and a new one
    later = FeatureCache(task, "bugs", "key", files)
    features = later.complete(HASHES[1:], lambda missing: asked.append(missing.tolist()) or rows(missing))

    # then only the new one is computed
    assert asked == [[1]]
    assert features[:, 0].tolist() == [1, 1]

    # and the first image is not stored again, because it may have been erased
    task.cached["bugs/key"] = later.save()
    FeatureCache(task, "bugs", "key").complete(HASHES, lambda missing: asked.append(missing.tolist()) or rows(missing))
    assert asked == [[1], [0]]


def test_a_trial_sees_the_features_of_the_other_trials_of_its_search(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path, auto=True)
    images = Preprocessing(image=ImageSpec(size=(8, 8)), mean=(0.5,) * 3, std=(0.5,) * 3)
    computed = FeatureCache(task, "bugs", features_key("net@1", images))
    computed.complete(HASHES, rows)
    results: list[dict[str, Any] | None] = [{"features": computed.save().model_dump(mode="json")}, {"value": 0.5}, None]
    parents: list[str | None] = []

    def children(parent: str | None) -> list[SimpleNamespace]:
        parents.append(parent)
        return [SimpleNamespace(job=SimpleNamespace(result=result)) for result in results]

    task.job = task.job.model_copy(update={"kind": JobKind.TRIAL, "parent": "study"})
    task.children = children
    source = FeatureSource(task, spec_of(dataset="bugs@1"), data=None, index=object(), body=tmp_path)

    cache = source.cache("net@1", images)

    assert parents == ["study"]
    assert cache.complete(HASHES, lambda _: pytest.fail("they are known"))[:, 0].tolist() == [0, 1, 2]


def test_the_key_depends_on_network_and_preprocessing() -> None:
    images = [Preprocessing(image=ImageSpec(size=(side, side)), mean=(0.5,) * 3, std=(0.5,) * 3) for side in (8, 9)]

    keys = {features_key(network, image) for network in ("lite0", "net@1") for image in images}

    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
