"""The training loop."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from contract.errors import Cancelled, Invalid
from contract.kinds.train import TrainSpec
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import Indices, Pictures, TrainingData
from services.trainer.train import Trained, train
from tests.training_data import separable, stored, train_spec, training_data

LAYERS = {"layers": [{"flatten": {}}, {"dense": 16}, {"batchnorm": {}}, {"relu": {}}, {"dropout": 0.2}]}


class Watched:
    """A training with everything it said."""

    def __init__(self, spec: TrainSpec, data: TrainingData, start: Checkpoint | None = None) -> None:
        self.steps: list[tuple[float, str]] = []
        self.checkpoints: list[Checkpoint] = []
        self.trained: Trained = train(
            spec,
            data,
            on_step=lambda done, message: self.steps.append((done, message)),
            on_epoch=self.checkpoints.append,
            start=start,
        )

    @property
    def weights(self) -> bytes:
        return bits(self.trained.model.state_dict())


def bits(weights: dict[str, torch.Tensor]) -> bytes:
    """Every weight, bit for bit."""
    return b"".join(weight.contiguous().numpy().tobytes() for weight in weights.values())


@pytest.mark.parametrize("architecture", [{"name": "cnn"}, {"name": "mlp"}, LAYERS], ids=["cnn", "mlp", "layers"])
def test_separable_classes_are_learnt(architecture: dict[str, object], tmp_path: Path) -> None:
    optimizer = {"name": "adam", "lr": 0.01}
    spec = train_spec(architecture=architecture, optimizer=optimizer, epochs=30, label_smoothing=0.0)

    epochs = Watched(spec, training_data(tmp_path)).trained.epochs

    assert [epoch.epoch for epoch in epochs] == list(range(1, 31))
    assert epochs[-1].train_loss < epochs[0].train_loss / 2
    assert max(epoch.val_accuracy or 0 for epoch in epochs) >= 0.95


@pytest.mark.parametrize("optimizer", [{"name": "adam"}, {"name": "sgd", "lr": 0.1}], ids=["adam", "sgd"])
@pytest.mark.parametrize("architecture", [{"name": "cnn"}, LAYERS], ids=["cnn", "layers"])
def test_resumed_training_ends_with_the_same_bits(
    architecture: dict[str, object], optimizer: dict[str, object], tmp_path: Path
) -> None:
    data, spec = training_data(tmp_path), train_spec(architecture=architecture, optimizer=optimizer)
    straight = Watched(spec, data)
    stored = straight.checkpoints[0].to_bytes()

    resumed = Watched(spec, data, start=Checkpoint.from_bytes(stored))

    assert resumed.weights == straight.weights
    assert [epoch.train_loss for epoch in resumed.trained.epochs] == [e.train_loss for e in straight.trained.epochs]
    assert len(resumed.checkpoints) == 2


def test_seed_decides_the_weights(tmp_path: Path) -> None:
    data = training_data(tmp_path)

    first, again, other = [Watched(train_spec(seed=seed), data).weights for seed in (1, 1, 2)]

    assert first == again
    assert first != other


def test_every_epoch_takes_every_picture_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    class Recorded(Pictures):
        def take(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
            taken.extend(indices.tolist())
            return super().take(indices)

    taken: list[int] = []
    data = replace(training_data(tmp_path), train=Recorded(stored(tmp_path, "train", *separable(60))))

    Watched(train_spec(epochs=2), data)

    first, second = taken[:60], taken[60:]
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second != sorted(second)


def test_training_that_was_over_only_gives_its_result(tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), train_spec()
    straight = Watched(spec, data)

    resumed = Watched(spec, data, start=straight.checkpoints[-1])

    assert resumed.steps == []
    assert resumed.trained.epochs == straight.trained.epochs
    assert resumed.weights == straight.weights


@pytest.mark.parametrize(("accuracy", "best"), [(1.0, 1), (0.0, 2)])
def test_weights_of_the_best_epoch_are_kept(accuracy: float, best: int, tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), train_spec(epochs=2)
    straight = Watched(spec, data)
    first = straight.checkpoints[0]
    first = replace(first, epochs=(first.epochs[0].model_copy(update={"val_accuracy": accuracy, "val_loss": 0.0}),))

    resumed = Watched(spec, data, start=first)

    expected = first.model if best == 1 else resumed.checkpoints[-1].model
    assert resumed.weights == bits(expected)


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    watched = Watched(train_spec(epochs=2), training_data(tmp_path, val=0))

    assert [epoch.val_accuracy for epoch in watched.trained.epochs] == [None, None]
    assert watched.weights == bits(watched.checkpoints[-1].model)


def test_result_is_ready_to_be_exported(tmp_path: Path) -> None:
    trained = Watched(train_spec(epochs=1), training_data(tmp_path)).trained

    assert trained.device == "cpu"
    assert not any(module.training for module in trained.model.modules())
    assert {weight.dtype for weight in trained.model.parameters()} == {torch.float32}


def test_progress_is_told_from_the_first_step(tmp_path: Path) -> None:
    spec = train_spec(epochs=2, batch_size=30)  # 2 steps an epoch

    done, message = Watched(spec, training_data(tmp_path, train=60)).steps[0]

    assert done == 0.25
    assert message.startswith("epoch 1/2 · train loss ")


def test_resumed_progress_tells_the_last_accuracy(tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), train_spec()
    checkpoint = Watched(spec, data).checkpoints[0]

    done, message = Watched(spec, data, start=checkpoint).steps[0]

    assert done > 1 / 3
    assert message.startswith("epoch 2/3 · train loss ")
    assert message.endswith(f" · val accuracy {checkpoint.epochs[0].val_accuracy:.3f}")


@pytest.mark.parametrize("where", ["on_step", "on_epoch"])
def test_cancelling_ends_the_training(where: str, tmp_path: Path) -> None:
    def cancel(*_: object) -> None:
        raise Cancelled("the job was cancelled")

    hooks = {"on_step": lambda *_: None, "on_epoch": lambda *_: None} | {where: cancel}

    with pytest.raises(Cancelled):
        train(train_spec(), training_data(tmp_path), **hooks)


def test_divergence_names_the_learning_rate(tmp_path: Path) -> None:
    spec = train_spec(
        architecture={"name": "mlp"}, optimizer={"name": "sgd", "lr": 10.0}, schedule="constant", epochs=50
    )

    with pytest.raises(Invalid, match="use a learning rate below 10"):
        Watched(spec, training_data(tmp_path))


@pytest.mark.parametrize(
    ("train_pictures", "classes", "shape"),
    [(17, 3, (3, 8, 8)), (3, 3, (3, 8, 8)), (2, 2, (1, 9, 5)), (33, 2, (1, 8, 8))],
    ids=["one left over", "one a class", "two in grey", "grey"],
)
def test_small_and_odd_sets(train_pictures: int, classes: int, shape: tuple[int, int, int], tmp_path: Path) -> None:
    data = training_data(tmp_path, train=train_pictures, val=1, classes=classes, shape=shape)

    epochs = Watched(train_spec(epochs=1), data).trained.epochs

    assert math.isfinite(epochs[0].train_loss)


def test_single_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="less than two pictures"):
        Watched(train_spec(), training_data(tmp_path, train=1))
