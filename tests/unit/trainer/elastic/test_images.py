"""The images of a training that several processes share."""

from pathlib import Path

import numpy as np

from contract.references import Reference
from services.trainer.elastic.images import digest, epoch_order, fetch_images, open_images
from tests.support.training_data import recipe, terms
from tests.support.training_task import MemoryTask


def test_every_replica_opens_the_same_images(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path)
    _, dataset = task.manifest(Reference.parse("bugs"))

    fetch_images(task, dataset)
    data = open_images(tmp_path, terms(recipe()))

    assert (len(data.train), len(data.val), data.shape) == (60, 30, (3, 8, 8))
    assert digest(dataset) == digest(dataset.model_copy(update={"thumbnails": ()}))


def test_images_are_shrunk_once_for_all_rounds(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path)
    fetch_images(task, task.manifest(Reference.parse("bugs"))[1])
    small = terms(recipe().model_copy(update={"shrink": 2}))

    first = open_images(tmp_path, small)
    written = [path.stat().st_mtime_ns for path in tmp_path.glob("shrunk-*")]
    again = open_images(tmp_path, small)

    assert first.shape == again.shape == (3, 4, 4)
    assert first.train.take(np.arange(60))[0].equal(again.train.take(np.arange(60))[0])
    assert [path.stat().st_mtime_ns for path in tmp_path.glob("shrunk-*")] == written


def test_an_erased_image_changes_the_digest(tmp_path: Path) -> None:
    _, dataset = MemoryTask(tmp_path).manifest(Reference.parse("bugs"))
    shards = {split: parts[1:] for split, parts in dataset.shards.items()}

    assert digest(dataset) != digest(dataset.model_copy(update={"shards": shards}))


def test_the_order_depends_on_the_seed_and_the_epoch_alone(tmp_path: Path) -> None:
    task = MemoryTask(tmp_path)
    fetch_images(task, task.manifest(Reference.parse("bugs"))[1])
    fixed = terms(recipe(batch_size=16))
    data = open_images(tmp_path, fixed)

    first, second = (epoch_order(data, fixed, number) for number in (1, 2))

    seen = [image for step in first for shard in step for image in shard.tolist()]
    assert sorted(seen) == list(range(60))
    assert {len(step) for step in first} == {4}
    assert str(first) == str(epoch_order(data, fixed, 1)) != str(second)
