"""Processes that share a training end with the weights and the losses of one."""

import multiprocessing
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from services.trainer.data import TrainingData
from services.trainer.elastic.group import Group
from services.trainer.elastic.passes import SharedPasses
from services.trainer.train import Trained, train
from tests.support.training_data import recipe, terms, training_data

AUGMENT = {"flip": True, "colour": 0.2, "mix": 0.3}
NORMALIZED = {"layers": [{"flatten": {}}, {"dense": 16}, {"batchnorm": {}}, {"relu": {}}, {"dropout": 0.2}]}


def run(rank: int, size: int, folder: Path, data: TrainingData, changes: dict[str, Any]) -> None:
    """Train as one of the processes, and save the weights and epochs."""
    torch.set_num_threads(1)
    if size > 1:
        store = dist.FileStore(str(folder / f"store-{size}"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=timedelta(seconds=60))
    trained = shared(Group(rank, size, 30.0), data, changes)
    epochs = [epoch.model_copy(update={"seconds": 0.0}).model_dump() for epoch in trained.epochs]
    saved = {"weights": trained.model.state_dict(), "epochs": epochs, "losses": trained.image_losses.to_tensor()}
    torch.save(saved, folder / f"{size}-{rank}.pt")
    if size > 1:
        dist.destroy_process_group()


def shared(group: Group, data: TrainingData, changes: dict[str, Any]) -> Trained:
    spec = recipe(**{"epochs": 2} | changes)
    passes = SharedPasses(group, terms(spec))
    return train(spec, data, on_step=lambda *_: None, on_epoch=lambda _: None, passes=passes)


@pytest.fixture
def processes(tmp_path: Path) -> Callable[[int, dict[str, Any]], list[dict[str, Any]]]:
    data = training_data(tmp_path, train=33, val=20)

    def start(size: int, changes: dict[str, Any]) -> list[dict[str, Any]]:
        # Forked, so that they need not import torch; with one thread each, they use nothing that a fork breaks.
        context = multiprocessing.get_context("fork")
        started = [context.Process(target=run, args=(rank, size, tmp_path, data, changes)) for rank in range(size)]
        for process in started:
            process.start()
        for process in started:
            process.join(60)
            assert process.exitcode == 0
        return [torch.load(tmp_path / f"{size}-{rank}.pt", weights_only=True) for rank in range(size)]

    return start


@pytest.mark.parametrize(
    ("sizes", "changes"),
    [
        ((2, 3, 4), {"augment": AUGMENT, "batch_size": 16, "class_weights": "balanced"}),
        ((3,), {"architecture": NORMALIZED, "batch_size": 6, "optimizer": {"name": "adam"}}),
    ],
    ids=["cnn", "layers"],
)
def test_any_number_of_processes_makes_the_same_weights(
    processes: Callable[[int, dict[str, Any]], list[dict[str, Any]]],
    sizes: tuple[int, ...],
    changes: dict[str, Any],
) -> None:
    (alone,) = processes(1, changes)

    for size in sizes:
        for result in processes(size, changes):
            assert result["epochs"] == alone["epochs"]
            assert result["losses"].equal(alone["losses"])
            assert all(result["weights"][name].equal(weight) for name, weight in alone["weights"].items())


def test_shards_learn_as_well_as_whole_batches(tmp_path: Path) -> None:
    trained = shared(
        Group(0, 1, 30.0), training_data(tmp_path), {"optimizer": {"name": "adam", "lr": 0.01}, "epochs": 20}
    )

    assert max(epoch.val_accuracy or 0 for epoch in trained.epochs) >= 0.95
