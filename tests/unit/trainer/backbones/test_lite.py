"""Our EfficientNet-Lite networks and their published weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from contract.backbones import BUILT_IN
from contract.errors import JobFailed
from services.trainer.backbones.lite import Lite
from services.trainer.backbones.registry import BACKBONES


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
@torch.no_grad()
def test_outputs_equal_those_of_the_reference_implementation(name: str) -> None:
    backbone = BACKBONES[name]
    weights = torch.load(backbone.file(), weights_only=True)
    reference = EfficientNet.from_name(f"efficientnet-{name}").eval()
    reference.load_state_dict(weights)
    images = torch.randn(2, 3, backbone.side, backbone.side, generator=torch.Generator().manual_seed(0))

    features = backbone.build().eval()(images)

    logits = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    torch.testing.assert_close(logits, reference(images), rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_weight() -> None:
    network = Lite()

    network(torch.randn(2, 3, 64, 64)).square().sum().backward()

    assert all(weight.grad is not None for weight in network.parameters())


def test_a_damaged_file_of_weights_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "lite0.pth").write_bytes(b"damaged")

    with pytest.raises(JobFailed, match="lite0 is damaged"):
        replace(BACKBONES["lite0"], file=lambda: tmp_path / "lite0.pth").build()


@pytest.mark.parametrize("name", ["lite0", "lite1", "lite2"])
def test_the_described_parameters_are_those_of_the_network(name: str) -> None:
    network = BACKBONES[name].body()

    assert sum(weight.numel() for weight in network.parameters()) == BUILT_IN[name].parameters
