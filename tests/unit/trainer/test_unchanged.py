"""Fine-tuning a model on its own classes never ends with a worse model."""

from pathlib import Path

import numpy as np
import pytest
import torch

from contract.training import ModelManifest
from services.trainer import worker
from services.trainer.state import State
from services.trainer.variants import Variants
from services.trainer.worker import train
from tests.support.training_task import MemoryTask

pytestmark = pytest.mark.usefixtures("no_variants")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[MemoryTask, ModelManifest]:
    """A small CNN, and the task that trained it."""
    folder = tmp_path_factory.mktemp("first")
    task = MemoryTask(folder, auto=True, architecture={"name": "cnn"}, epochs=8, augment=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "make_variants", lambda *_: Variants())
        return task, train(task)


def tuned(
    trained: tuple[MemoryTask, ModelManifest], tmp_path: Path, rate: float
) -> tuple[State, State, dict[str, object]]:
    """Train the CNN further at this rate; return both states and the decisions of the second training."""
    first, start = trained
    second = MemoryTask(
        tmp_path,
        auto=True,
        init_from="net",
        epochs=1,
        optimizer={"name": "sgd", "lr": rate},
        schedule="constant",
        augment=False,
    )
    second.objects.content |= first.objects.content
    second.models.published["net"] = start
    end = train(second)
    assert end.metrics is not None
    assert start.metrics is not None
    assert end.metrics.val is not None
    assert start.metrics.val is not None
    assert end.metrics.val.accuracy >= start.metrics.val.accuracy
    states = (State.from_bytes("net@1", task.objects.read(m.state)) for task, m in ((first, start), (second, end)))
    return *states, {choice.what: choice.value for choice in end.decisions}


def test_the_weights_of_the_start_are_kept_if_no_epoch_is_better(
    trained: tuple[MemoryTask, ModelManifest], tmp_path: Path
) -> None:
    start, end, decided = tuned(trained, tmp_path, rate=0.5)

    assert decided["weights"] == "net@1"
    assert all(torch.equal(value, end.weights[name]) for name, value in start.weights.items())


def test_a_better_epoch_replaces_the_start(trained: tuple[MemoryTask, ModelManifest], tmp_path: Path) -> None:
    start, end, decided = tuned(trained, tmp_path, rate=1e-4)

    assert "weights" not in decided
    assert not np.array_equal(start.weights["head.bias"], end.weights["head.bias"])
