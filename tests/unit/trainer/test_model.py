"""Networks from architecture specs."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from contract.errors import BadModel
from contract.training import Architecture
from services.trainer.model import build, parameters


def architecture(described: dict[str, Any]) -> Architecture:
    return TypeAdapter(Architecture).validate_python(described)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 8, 20), (1, 1, 1), (3, 70, 66)])
@pytest.mark.parametrize(
    "described",
    [
        {"name": "mlp"},
        {"name": "cnn"},
        {"name": "resnet18"},
        {"layers": [{"conv": 4}, {"relu": {}}, {"globalavgpool": {}}]},
    ],
    ids=str,
)
def test_networks_accept_images_of_any_size(described: dict[str, Any], shape: tuple[int, int, int]) -> None:
    network = build(architecture(described), shape, classes=7)

    logits = network(torch.zeros(2, *shape))

    assert logits.shape == (2, 7)


@pytest.mark.parametrize(
    ("described", "count"),
    [
        ({"name": "mlp"}, 3072 * 128 + 128 + 128 * 10 + 10),
        ({"name": "mlp", "hidden": []}, 3072 * 10 + 10),
        ({"name": "cnn"}, 107_610),
        ({"name": "resnet18"}, 11_173_962),
    ],
    ids=str,
)
def test_number_of_weights_at_cifar10(described: dict[str, Any], count: int) -> None:
    assert parameters(build(architecture(described), (3, 32, 32), classes=10)) == count


@pytest.mark.parametrize(
    ("described", "height"),
    [({"name": "mlp", "hidden": [4096]}, 1024), ({"layers": [{"flatten": {}}, *[{"dense": 4096}] * 20]}, 8)],
    ids=["one layer", "all layers"],
)
def test_a_network_with_too_many_weights_is_rejected(described: dict[str, Any], height: int) -> None:
    with pytest.raises(BadModel, match="too large"):
        build(architecture(described), (3, height, 32), classes=10)
