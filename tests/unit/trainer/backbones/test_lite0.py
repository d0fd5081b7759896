"""Our EfficientNet-Lite0 and its published weights."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from contract.errors import JobFailed
from services.trainer.backbones.lite0 import Lite0
from services.trainer.backbones.registry import LITE0


@torch.no_grad()
def test_outputs_equal_those_of_the_reference_implementation() -> None:
    weights = torch.load(LITE0.file(), weights_only=True)
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    reference.load_state_dict(weights)
    images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))

    features = LITE0.build().eval()(images)

    logits = features @ weights["_fc.weight"].T + weights["_fc.bias"]
    torch.testing.assert_close(logits, reference(images), rtol=1e-4, atol=1e-4)


def test_gradients_reach_every_weight() -> None:
    network = Lite0()

    network(torch.randn(2, 3, 64, 64)).square().sum().backward()

    assert all(weight.grad is not None for weight in network.parameters())


def test_a_damaged_file_of_weights_fails_the_job(tmp_path: Path) -> None:
    (tmp_path / "lite0.pth").write_bytes(b"damaged")

    with pytest.raises(JobFailed, match="lite0 is damaged"):
        replace(LITE0, file=lambda: tmp_path / "lite0.pth").build()
