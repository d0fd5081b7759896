"""An exported model compared with the network that it was exported from."""

import math
from pathlib import Path

import pytest
import torch

from contract.errors import JobFailed
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from contract.training import Mlp
from services.trainer.data import TrainingData
from services.trainer.evaluate import Runtime
from services.trainer.export import export
from services.trainer.model import build
from services.trainer.parity import largest_difference, parity
from tests.support.training_data import training_data


def exported(data: TrainingData, folder: Path) -> tuple[torch.nn.Module, Path]:
    """A network with random weights and its ONNX file."""
    image = ImageSpec(size=data.shape[1:])
    card = ModelCard(labels=("a", "b", "c"), preprocessing=Preprocessing(image=image, mean=data.mean, std=data.std))
    model = build(Mlp(name="mlp", hidden=(4,)), data.shape, data.classes).eval()
    export(model, card, folder / "model.onnx")
    return model, folder / "model.onnx"


@pytest.mark.parametrize("val", [5, 0], ids=["validation images", "training images"])
def test_export_agrees_with_its_network(val: int, tmp_path: Path) -> None:
    data = training_data(tmp_path, val=val)
    model, file = exported(data, tmp_path)

    with Runtime(file) as runtime:
        difference, signature = parity(model, runtime, data, tmp_path)

    assert 0 <= difference < 1e-4
    assert signature.inputs[0].shape == ("batch", 3, 8, 8)


def test_different_weights_are_detected(tmp_path: Path) -> None:
    data = training_data(tmp_path)
    model, file = exported(data, tmp_path)
    torch.nn.init.ones_(model[-1].bias)

    with Runtime(file) as runtime, pytest.raises(JobFailed, match="differs from the trained one"):
        parity(model, runtime, data, tmp_path)


@pytest.mark.parametrize(
    ("logit", "difference", "accepted"), [(0.1, 9e-4, True), (0.1, 2e-3, False), (50, 4e-2, True), (50, 6e-2, False)]
)
def test_tolerance_grows_with_the_logits(logit: float, difference: float, accepted: bool) -> None:
    expected = torch.tensor([[logit, 0.0]], dtype=torch.float64)

    if accepted:
        assert largest_difference(expected, expected + difference) == pytest.approx(difference)
    else:
        with pytest.raises(JobFailed):
            largest_difference(expected, expected - difference)


def test_nan_is_rejected() -> None:
    with pytest.raises(JobFailed):
        largest_difference(torch.tensor([[1.0, math.nan]]), torch.tensor([[1.0, math.nan]]))
