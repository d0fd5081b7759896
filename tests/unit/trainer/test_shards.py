"""Shards are all on disk, or streamed through a cache that is smaller than the dataset."""

import errno
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from contract.artifacts import Bucket, ObjectRef
from contract.datasets import Split
from contract.errors import Corrupt, JobFailed, ObjectsUnavailable
from contract.kinds.train import TrainSpec
from contract.references import Reference
from services.trainer import train as training
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import ShardedImages, TrainingData, averaged
from services.trainer.search.folds import SomeImages
from services.trainer.shard_cache import Item, ShardCache
from services.trainer.shards import Shards, opened_shards
from services.trainer.streaming import StreamedImages, window_of
from services.trainer.train import Trained
from services.trainer.worker import load
from tests.support.training_data import MEAN, STD, recipe, separable, stored
from tests.support.training_task import MemoryTask

IMAGES = 1088  # bytes of the images of a training shard
SCRATCH = "TIDEPOOL_TRAINING_SCRATCH_BYTES"


class SmallDisk:
    """Fetches the objects of a task; records how many bytes of shards lie in the folder at most."""

    def __init__(self, task: MemoryTask) -> None:
        self.most = 0
        self.reads = 0
        self.fail: Callable[[Path], None] = lambda _: None
        self._folder = task.folder
        self._read = task.objects.read
        task.objects.fetch = self  # type: ignore[method-assign,assignment]

    def __call__(self, ref: ObjectRef, path: Path) -> None:
        self.reads += 1
        path.write_bytes(self._read(ref))
        self.fail(path)
        self.most = max(self.most, sum(file.stat().st_size for file in self.files()))

    def files(self) -> list[Path]:
        return [file for file in self._folder.glob("shard-*") if file.exists()]


@pytest.fixture
def task(tmp_path: Path) -> MemoryTask:
    """A dataset of twelve shards a split."""
    return MemoryTask(tmp_path, val=24, shards=12)


@pytest.fixture
def disk(task: MemoryTask) -> SmallDisk:
    return SmallDisk(task)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a training keep two of the larger shards, a tenth of the dataset."""
    monkeypatch.setenv(SCRATCH, str(2 * IMAGES))


def manifest(task: MemoryTask):
    return task.manifest(Reference(name="bugs"))[1]


def data_of(shards: Shards) -> TrainingData:
    return TrainingData(
        train=shards.images[Split.TRAIN],
        val=shards.images[Split.VAL],
        shape=(3, 8, 8),
        classes=3,
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
    )


def trained(task: MemoryTask, start: Checkpoint | None = None, factor: int = 1) -> tuple[Trained, list[Checkpoint]]:
    """Train for three epochs, from the recipe of `start` if it is given."""
    checkpoints: list[Checkpoint] = []
    with opened_shards(task, manifest(task)) as shards:
        result = training.train(
            start.recipe if start else recipe(),
            data_of(shards).shrunk(factor),
            on_step=lambda *_: None,
            on_epoch=checkpoints.append,
            start=start,
        )
    return result, checkpoints


def weights(result: Trained) -> Iterator[torch.Tensor]:
    return iter(result.model.state_dict().values())


def equal(one: Trained, other: Trained) -> bool:
    return all(map(torch.equal, weights(one), weights(other)))


@pytest.mark.usefixtures("tiny")
def test_a_fold_of_a_streamed_dataset_is_shrunk_while_it_is_read(task: MemoryTask, disk: SmallDisk) -> None:
    with opened_shards(task, manifest(task)) as shards:
        images = shards.images[Split.TRAIN]
        rows = np.arange(0, len(images), 2)
        before = disk.reads

        fold = SomeImages(images, rows).shrunk(2)

        assert disk.reads == before
        pixels, labels = fold.take(np.arange(3))
        expected = averaged(images.take(rows[:3])[0], 2)
        np.testing.assert_array_equal(pixels.numpy(), expected)
        assert labels.tolist() == images.labels[rows[:3]].tolist()
        assert len(fold) == len(rows)


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.usefixtures("tiny")
def test_a_dataset_of_ten_times_the_scratch_space_trains(task: MemoryTask, disk: SmallDisk, factor: int) -> None:
    sizes = [shard.images.size for shards in manifest(task).shards.values() for shard in shards]
    assert sum(sizes) > 10 * 2 * IMAGES

    result, _ = trained(task, factor=factor)

    assert len(result.epochs) == 3
    assert (result.epochs[-1].val_accuracy or 0) > 0.8
    assert disk.most <= 2 * IMAGES
    assert disk.files() == []
    assert "they are loaded while the training runs" in task.logs[0]


@pytest.mark.usefixtures("tiny")
def test_a_streamed_training_repeats_and_resumes(
    task: MemoryTask, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, checkpoints = trained(task)
    assert checkpoints[0].recipe.window == 1

    again, _ = trained(task)
    resumed, _ = trained(task, Checkpoint.from_bytes(checkpoints[0].to_bytes()))
    monkeypatch.delenv(SCRATCH)
    elsewhere, _ = trained(task, checkpoints[1])  # where all images fit

    assert equal(first, again)
    assert equal(first, resumed)
    assert equal(first, elsewhere)


def test_images_that_fit_are_trained_in_the_order_of_older_releases(task: MemoryTask) -> None:
    with opened_shards(task, manifest(task)) as shards:
        images = shards.images[Split.TRAIN]

        assert type(images) is ShardedImages
        assert images.window is None
        order = images.order(np.random.default_rng(7))
        np.testing.assert_array_equal(order, np.random.default_rng(7).permutation(60))


def test_a_training_that_began_with_all_images_cannot_go_on_with_less_room(
    task: MemoryTask, disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, checkpoints = trained(task)
    monkeypatch.setenv(SCRATCH, str(2 * IMAGES))

    with pytest.raises(JobFailed, match="give it as much scratch space"):
        trained(task, checkpoints[0])


@pytest.mark.parametrize("count", [1, 3])
def test_windows_shuffle_all_images_within_a_few_shards(tmp_path: Path, count: int) -> None:
    images = ShardedImages(stored(tmp_path, "train", *separable(50), shards=5))

    order = images.order(np.random.default_rng(0), count)
    own = images.order(np.random.default_rng(0), count, shards=[1, 4])

    assert sorted(order.tolist()) == list(range(50))
    assert len({index // 10 for index in order[: 10 * count].tolist()}) == count
    assert sorted(own.tolist()) == [*range(10, 20), *range(40, 50)]
    assert images.order(np.random.default_rng(0), count, shards=[]).tolist() == []


@pytest.mark.usefixtures("tiny")
def test_streamed_images_are_those_of_the_shards(task: MemoryTask, disk: SmallDisk) -> None:
    with opened_shards(task, manifest(task)) as shards:
        images, labels = shards.images[Split.TRAIN].take(np.array([59, 0, 17, 17, 30]))
        files = list(map(np.load, (pair[0] for pair in shards.files[Split.VAL])))
        tested = np.concatenate([np.load(file) for _, file in shards.files[Split.TEST][3:]])

    pixels, classes = separable(60, seed=len(Split.TRAIN))
    np.testing.assert_array_equal(images.numpy(), pixels[[59, 0, 17, 17, 30]])
    np.testing.assert_array_equal(labels.numpy(), classes[[59, 0, 17, 17, 30]])
    np.testing.assert_array_equal(np.concatenate(files), separable(24, seed=len(Split.VAL))[0])
    np.testing.assert_array_equal(tested, separable(12, seed=len(Split.TEST))[1][3:])


@pytest.mark.usefixtures("tiny")
def test_a_damaged_shard_is_an_error(task: MemoryTask, disk: SmallDisk) -> None:
    broken = manifest(task).shards[Split.TRAIN][5].images
    task.objects.content[Bucket.JOBS, broken.key] = b"damaged"

    with pytest.raises(Corrupt):
        trained(task)

    assert disk.files() == []


@pytest.mark.usefixtures("tiny")
def test_what_was_not_fetched_in_advance_is_fetched_when_it_is_needed(task: MemoryTask, disk: SmallDisk) -> None:
    seen: set[int] = set()

    def fails_in_advance(path: Path) -> None:
        if disk.reads % 3 == 0 and disk.reads not in seen:
            seen.add(disk.reads)
            raise ObjectsUnavailable("the object store does not answer")

    reference, _ = trained(task)
    with opened_shards(task, manifest(task)) as shards:
        images = shards.images[Split.TRAIN]
        order = images.order(np.random.default_rng(0), 1)
        disk.fail = fails_in_advance
        for part in np.array_split(order, 12):
            try:
                images.take(part)
            except ObjectsUnavailable:  # by the thread that needs it: in a job, this is retried
                images.take(part)

    assert seen
    assert reference.epochs


def test_a_full_disk_makes_the_cache_smaller(task: MemoryTask, disk: SmallDisk) -> None:
    # given a cache that may keep six shards, and a disk with room for three
    items = [Item.of(shard.images) for shard in manifest(task).shards[Split.TRAIN]]
    cache = ShardCache(task.folder, 6 * IMAGES, disk)

    def full(path: Path) -> None:
        if sum(file.stat().st_size for file in disk.files()) > 3 * IMAGES:
            raise OSError(errno.ENOSPC, "No space left on device")

    disk.fail = full

    # when shards are read
    for item in items:
        assert len(cache.get(item)) == 5

    # then it keeps three; a disk without room for one is an error that says so
    assert (len(disk.files()), cache.budget) == (3, 3 * IMAGES)
    disk.fail = always_full
    with pytest.raises(JobFailed, match="more scratch space"):
        cache.get(replace(items[0], factor=2))
    cache.close()
    assert disk.files() == []


def always_full(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_windows_fit_twice_into_the_budget() -> None:
    assert [window_of(budget, 64) for budget in (128, 255, 256, 1024, 100_000)] == [1, 1, 2, 8, 16]
    with pytest.raises(JobFailed, match=SCRATCH):
        window_of(127, 64)


def test_a_training_with_replicas_needs_room_for_all_images(tmp_path: Path, tiny: None) -> None:
    task = MemoryTask(tmp_path, val=24, shards=12, replicas={"max": 2})
    disk = SmallDisk(task)

    with pytest.raises(JobFailed, match="leave out replicas"), load(task, TrainSpec.model_validate(task.job.spec)):
        pass

    assert not disk.reads


@pytest.mark.parametrize(("free", "streams"), [(2.1, False), (1.9, True)])
def test_shards_take_at_most_half_of_the_free_disk(
    task: MemoryTask, monkeypatch: pytest.MonkeyPatch, free: float, streams: bool
) -> None:
    size = sum(shard.images.size for shards in manifest(task).shards.values() for shard in shards)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=int(free * size)))

    with opened_shards(task, manifest(task)) as shards:
        assert (type(shards.images[Split.TRAIN]) is StreamedImages) is streams
