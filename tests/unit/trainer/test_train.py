"""The training loop."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.errors import Cancelled, Invalid
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import Indices, ShardedImages, TrainingData
from services.trainer.network import Network
from services.trainer.recipe import Recipe
from services.trainer.train import REPORT_INTERVAL_S, Reporter, Trained, class_weights, train
from tests.support.training_data import recipe, separable, stored, training_data

LAYERS = {"layers": [{"flatten": {}}, {"dense": 16}, {"batchnorm": {}}, {"relu": {}}, {"dropout": 0.2}]}


class Run:
    """A training run with everything it reported."""

    def __init__(self, spec: Recipe, data: TrainingData, start: Checkpoint | None = None) -> None:
        self.steps: list[tuple[float, str]] = []
        self.checkpoints: list[Checkpoint] = []
        self.trained: Trained = train(
            spec,
            data,
            on_step=lambda progress, message: self.steps.append((progress, message)),
            on_epoch=self.checkpoints.append,
            start=start,
        )

    @property
    def weights(self) -> bytes:
        return bits(self.trained.model.state_dict())


def bits(weights: dict[str, torch.Tensor]) -> bytes:
    """The bytes of every weight."""
    return b"".join(weight.contiguous().numpy().tobytes() for weight in weights.values())


@pytest.mark.parametrize("architecture", [{"name": "cnn"}, {"name": "mlp"}, LAYERS], ids=["cnn", "mlp", "layers"])
def test_separable_classes_are_learned(architecture: dict[str, object], tmp_path: Path) -> None:
    optimizer = {"name": "adam", "lr": 0.01}
    spec = recipe(architecture=architecture, optimizer=optimizer, epochs=30, label_smoothing=0.0)

    epochs = Run(spec, training_data(tmp_path)).trained.epochs

    assert [epoch.epoch for epoch in epochs] == list(range(1, 31))
    assert epochs[-1].train_loss < epochs[0].train_loss / 2
    assert max(epoch.val_accuracy or 0 for epoch in epochs) >= 0.95


@pytest.mark.parametrize("optimizer", [{"name": "adam"}, {"name": "sgd", "lr": 0.1}], ids=["adam", "sgd"])
@pytest.mark.parametrize("architecture", [{"name": "cnn"}, LAYERS], ids=["cnn", "layers"])
def test_resumed_training_ends_with_the_same_bits(
    architecture: dict[str, object], optimizer: dict[str, object], tmp_path: Path
) -> None:
    data, spec = training_data(tmp_path), recipe(architecture=architecture, optimizer=optimizer)
    full = Run(spec, data)
    stored = full.checkpoints[0].to_bytes()

    resumed = Run(spec, data, start=Checkpoint.from_bytes(stored))

    assert resumed.weights == full.weights
    assert [epoch.train_loss for epoch in resumed.trained.epochs] == [e.train_loss for e in full.trained.epochs]
    assert len(resumed.checkpoints) == 2
    assert torch.equal(resumed.trained.image_losses.to_tensor(), full.trained.image_losses.to_tensor())


def test_images_are_seen_at_half_size_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = list[int]()
    forward = Network.forward

    def noted(network: Network, images: torch.Tensor) -> torch.Tensor:
        if network.training:
            sides.append(images.shape[2])
        return forward(network, images)

    monkeypatch.setattr(Network, "forward", noted)
    data = training_data(tmp_path)
    spec = recipe(architecture={"name": "cnn"}, epochs=2, batch_size=16).model_copy(update={"halved": 0.75})

    full = Run(spec, data)

    steps, side = len(sides), data.shape[1]
    assert steps > 3
    assert sides == [side // 2] * (3 * steps // 4) + [side] * (steps - 3 * steps // 4)
    assert Run(spec, data, start=full.checkpoints[0]).weights == full.weights


def test_weights_depend_only_on_the_seed(tmp_path: Path) -> None:
    data = training_data(tmp_path)

    first, again, other = [Run(recipe(seed=seed), data).weights for seed in (1, 1, 2)]

    assert first == again
    assert first != other


def test_every_epoch_uses_every_image_once_in_a_different_order(tmp_path: Path) -> None:
    class RecordedImages(ShardedImages):
        def take(self, indices: Indices) -> tuple[torch.Tensor, torch.Tensor]:
            taken.extend(indices.tolist())
            return super().take(indices)

    taken: list[int] = []
    data = replace(training_data(tmp_path), train=RecordedImages(stored(tmp_path, "train", *separable(60))))

    Run(recipe(epochs=2), data)

    first, second = taken[:60], taken[60:]
    assert sorted(first) == sorted(second) == list(range(60))
    assert first != second != sorted(second)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), recipe()
    full = Run(spec, data)

    resumed = Run(spec, data, start=full.checkpoints[-1])

    assert resumed.steps == []
    assert resumed.trained.epochs == full.trained.epochs
    assert resumed.weights == full.weights


@pytest.mark.parametrize(("accuracy", "best"), [(1.0, 1), (0.0, 2)])
def test_weights_of_the_best_epoch_are_kept(accuracy: float, best: int, tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), recipe(epochs=2)
    full = Run(spec, data)
    first = full.checkpoints[0]
    first = replace(first, epochs=(first.epochs[0].model_copy(update={"val_accuracy": accuracy, "val_loss": 0.0}),))

    resumed = Run(spec, data, start=first)

    expected = first.model if best == 1 else resumed.checkpoints[-1].model
    assert resumed.weights == bits(expected)


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path) -> None:
    run = Run(recipe(epochs=2), training_data(tmp_path, val=0))

    assert [epoch.val_accuracy for epoch in run.trained.epochs] == [None, None]
    assert run.weights == bits(run.checkpoints[-1].model)


def test_trained_network_is_ready_for_export(tmp_path: Path) -> None:
    trained = Run(recipe(epochs=1), training_data(tmp_path)).trained

    assert trained.device == "cpu"
    assert not any(module.training for module in trained.model.modules())
    assert {weight.dtype for weight in trained.model.parameters()} == {torch.float32}


def test_progress_is_reported_after_the_first_step(tmp_path: Path) -> None:
    spec = recipe(epochs=2, batch_size=30)  # 2 steps an epoch

    progress, message = Run(spec, training_data(tmp_path, train=60)).steps[0]

    assert progress == 0.25
    assert message == "learning · pass 1 of 2 over the images"


def test_resumed_training_reports_the_last_accuracy(tmp_path: Path) -> None:
    data, spec = training_data(tmp_path), recipe()
    checkpoint = Run(spec, data).checkpoints[0]

    progress, message = Run(spec, data, start=checkpoint).steps[0]

    assert progress > 1 / 3
    assert message.startswith("learning · pass 2 of 3 over the images · right on ")
    assert message.endswith(f" {checkpoint.epochs[0].val_accuracy:.1%} of the validation images")


@pytest.mark.parametrize("callback", ["on_step", "on_epoch"])
def test_cancelling_ends_the_training(callback: str, tmp_path: Path) -> None:
    def cancel(*_: object) -> None:
        raise Cancelled("the job was cancelled")

    callbacks = {"on_step": lambda *_: None, "on_epoch": lambda *_: None} | {callback: cancel}

    with pytest.raises(Cancelled):
        train(recipe(), training_data(tmp_path), **callbacks)


def test_divergence_error_names_the_learning_rate(tmp_path: Path) -> None:
    spec = recipe(architecture={"name": "mlp"}, optimizer={"name": "sgd", "lr": 10.0}, schedule="constant", epochs=50)

    with pytest.raises(Invalid, match="use a learning rate below 10"):
        Run(spec, training_data(tmp_path))


def test_divergence_error_names_the_batch(tmp_path: Path) -> None:
    spec = recipe(architecture={"name": "mlp"}, optimizer={"name": "sgd", "lr": 10.0}, schedule="constant", epochs=50)
    data = replace(training_data(tmp_path), describe=lambda indices: f"cat/{len(indices)}.jpg")

    with pytest.raises(Invalid, match=r"in epoch \d+, batch \d of 4: images cat/15.jpg"):
        Run(spec, data)


def test_a_huge_but_finite_loss_is_a_divergence(tmp_path: Path) -> None:
    spec = recipe(architecture={"name": "mlp"}, optimizer={"name": "sgd", "lr": 10.0}, schedule="constant", epochs=1)
    data = replace(training_data(tmp_path), std=(1e-9,) * 3)

    with pytest.raises(Invalid, match=r"the loss became [0-9.]+e\+"):
        Run(spec, data)


def test_training_resumes_after_an_image_was_erased(tmp_path: Path) -> None:
    checkpoint = Run(recipe(), training_data(tmp_path, train=60)).checkpoints[0]

    resumed = Run(recipe(), training_data(tmp_path, train=59), start=checkpoint)

    assert len(resumed.trained.epochs) == 3
    assert resumed.trained.image_losses.to_tensor().shape == (2, 59)


def test_training_of_another_recipe_does_not_resume(tmp_path: Path) -> None:
    data = training_data(tmp_path)
    checkpoint = Run(recipe(epochs=1), data).checkpoints[0]

    with pytest.raises(Invalid, match="batch_size was 16 and is 8"):
        Run(recipe(epochs=1, batch_size=8), data, start=checkpoint)


def test_patience_ends_the_training(tmp_path: Path) -> None:
    spec = recipe(epochs=30, patience=2, optimizer={"name": "adam", "lr": 1e-9})

    assert len(Run(spec, training_data(tmp_path)).trained.epochs) == 3


def test_a_budget_ends_the_training_within_an_epoch(tmp_path: Path) -> None:
    spec = recipe(epochs=30, batch_size=2).model_copy(update={"seconds": 0.01})

    epochs = Run(spec, training_data(tmp_path)).trained.epochs

    assert [epoch.epoch for epoch in epochs] == [1]


def test_a_training_stopped_after_a_few_steps_has_not_diverged(tmp_path: Path) -> None:
    spec = recipe(batch_size=2, schedule="constant")

    trained = train(
        spec, training_data(tmp_path), on_step=lambda *_: None, on_epoch=lambda _: None, stop_early=lambda: True
    )

    # The running statistics of one batch fit no other images: the loss on validation is about 10 million here.
    assert [epoch.epoch for epoch in trained.epochs] == [1]


def test_training_starts_from_a_network_and_can_freeze_its_body(tmp_path: Path) -> None:
    data = training_data(tmp_path)
    first = Run(recipe(epochs=1), data).trained.model
    spec = recipe(epochs=1).model_copy(update={"body_rate": 0.0, "batch_statistics": False})

    second = train(spec, data, network=first, on_step=lambda *_: None, on_epoch=lambda _: None).model

    assert bits(second.body.state_dict()) == bits(first.body.state_dict())
    assert bits(second.head.state_dict()) != bits(first.head.state_dict())


def test_balanced_class_weights_have_a_mean_of_one() -> None:
    labels = np.array([0, 0, 0, 2])

    weights = class_weights(labels, classes=3)

    assert weights.tolist() == pytest.approx([2 / 3, 0, 2])
    assert weights[labels].mean().item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("train_images", "classes", "shape"),
    [(17, 3, (3, 8, 8)), (3, 3, (3, 8, 8)), (2, 2, (1, 9, 5)), (33, 2, (1, 8, 8))],
    ids=["one left over", "one per class", "two in grey", "grey"],
)
def test_small_and_odd_data_sets(train_images: int, classes: int, shape: tuple[int, int, int], tmp_path: Path) -> None:
    data = training_data(tmp_path, train=train_images, val=1, classes=classes, shape=shape)

    epochs = Run(recipe(epochs=1), data).trained.epochs

    assert math.isfinite(epochs[0].train_loss)


def test_a_single_image_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="fewer than two images"):
        Run(recipe(), training_data(tmp_path, train=1))


def test_progress_is_reported_once_per_interval() -> None:
    moments = [0.0, 0.0, REPORT_INTERVAL_S / 2, REPORT_INTERVAL_S, REPORT_INTERVAL_S * 1.5, REPORT_INTERVAL_S * 10]
    reported: list[float] = []
    reporter = Reporter(1, lambda progress, _: reported.append(progress), clock=iter(moments).__next__)

    for moment in moments[1:]:
        reporter.report(1, None, moment)

    assert reported == [0.0, REPORT_INTERVAL_S, REPORT_INTERVAL_S * 10]
