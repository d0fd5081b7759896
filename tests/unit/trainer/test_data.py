"""Images in shards, and batches."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer import data
from services.trainer.data import ShardedImages, batches
from tests.support.training_data import separable, stored


def test_take_returns_images_across_shards_in_the_requested_order(tmp_path: Path) -> None:
    images, labels = separable(11)
    sharded = ShardedImages(stored(tmp_path, "train", images, labels, shards=3))
    indices = np.array([10, 0, 4, 3, 3, 7])

    taken_images, taken_labels = sharded.take(indices)

    assert len(sharded) == 11
    np.testing.assert_array_equal(taken_images.numpy(), images[indices])
    np.testing.assert_array_equal(taken_labels.numpy(), labels[indices])


@pytest.mark.parametrize("shards", [1, 3])
def test_a_split_that_is_too_large_for_a_map_has_the_same_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    images, labels = separable(31)
    files = stored(tmp_path, "train", images, labels, shards=shards)
    mapped = ShardedImages(files)
    shrunk = mapped.shrunk(2).take(np.arange(31))[0]
    monkeypatch.setattr(data, "MAPPED", 0)

    large = ShardedImages(files)

    for indices in (np.array([10, 0, 4, 30, 3, 7]), np.arange(5, 25), np.array([4]), np.empty(0, np.int64)):
        np.testing.assert_array_equal(large.take(indices)[0].numpy(), images[indices])
        np.testing.assert_array_equal(large.shrunk(2).take(indices)[0].numpy(), shrunk[indices].numpy())
    assert sorted(file for pair in files for file in pair) == sorted(tmp_path.iterdir())


def test_an_empty_split_has_no_images() -> None:
    assert len(ShardedImages([])) == 0


@given(count=st.integers(2, 500), size=st.integers(2, 64))
def test_batches_divide_all_images_evenly(count: int, size: int) -> None:
    cut = batches(np.arange(count), size)

    sizes = [len(batch) for batch in cut]
    assert np.concatenate(cut).tolist() == list(range(count))
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 2
    assert max(sizes) <= max(size, 3)


@pytest.mark.parametrize(("count", "sizes"), [(257, [129, 128]), (100, [100]), (1, [1]), (2, [2])])
def test_batches_of_256(count: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches(np.arange(count), 256)] == sizes
