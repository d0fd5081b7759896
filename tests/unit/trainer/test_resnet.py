"""ResNet-18."""

import pytest
import torch

from services.trainer.resnet import BasicBlock, resnet18


@pytest.mark.parametrize(("side", "total_stride"), [(64, 8), (96, 32)])
def test_the_stem_depends_on_the_image_size(side: int, total_stride: int) -> None:
    features = resnet18((3, side, side), classes=10)[:-3]

    assert features(torch.zeros(2, 3, side, side)).shape == (2, 512, side // total_stride, side // total_stride)


def test_the_shortcut_adds_the_input_to_the_output() -> None:
    block = BasicBlock(2, 2, stride=1).eval()
    for weights in block.body.parameters():
        torch.nn.init.zeros_(weights)
    x = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)

    assert block(x).flatten().tolist() == [1, 0]
