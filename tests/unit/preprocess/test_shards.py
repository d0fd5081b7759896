"""Shards hold a split's images in order and can be memory-mapped."""

from pathlib import Path

import numpy as np

from contract.datasets import Split
from services.preprocess.shards import ShardWriter

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 4, 5), np.uint8)


def test_all_shards_but_the_last_are_full(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, Split.TRAIN, (3, 4, 5), shard_bytes=3 * 60 + 59)

    places = np.concatenate([writer.add(IMAGES[rows], np.arange(7)[rows]) for rows in (slice(0, 2), slice(2, 7))])

    shards = writer.finish()
    assert places.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0]]

    assert [shard.count for shard in shards] == [3, 3, 1]
    assert [shard.images.name for shard in shards] == [f"train-0000{number}.images.npy" for number in range(3)]
    assert [shard.labels.name for shard in shards] == [f"train-0000{number}.labels.npy" for number in range(3)]
    images = [np.load(shard.images, mmap_mode="r") for shard in shards]
    labels = [np.load(shard.labels, mmap_mode="r") for shard in shards]
    assert all(isinstance(array, np.memmap) for array in images + labels)
    assert np.array_equal(np.concatenate(images), IMAGES)
    assert np.array_equal(np.concatenate(labels), np.arange(7))
    assert {array.dtype.str for array in images} | {array.dtype.str for array in labels} == {"|u1", "<i8"}


def test_a_full_last_shard_is_not_followed_by_an_empty_one(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, Split.VAL, (3, 4, 5), shard_bytes=60)
    writer.add(IMAGES[:1], np.array([1]))

    assert [shard.count for shard in writer.finish()] == [1]


def test_an_image_over_the_shard_size_has_its_own_shard(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, Split.TEST, (3, 4, 5), shard_bytes=1)
    writer.add(IMAGES, np.zeros(7, np.int64))

    assert [shard.count for shard in writer.finish()] == [1] * 7


def test_a_split_without_images_has_no_shard(tmp_path: Path) -> None:
    assert ShardWriter(tmp_path, Split.TEST, (3, 4, 5)).finish() == ()
    assert not list(tmp_path.iterdir())


def test_a_shard_has_the_bytes_that_numpy_writes(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, Split.TRAIN, (3, 4, 5))
    writer.add(IMAGES[:4], np.arange(4))
    writer.add(IMAGES[4:], np.arange(4, 7))
    (shard,) = writer.finish()
    np.save(tmp_path / "expected.npy", IMAGES)

    assert shard.images.read_bytes() == (tmp_path / "expected.npy").read_bytes()
