"""ResNet-18."""

import pytest
import torch

from services.trainer.resnet import BasicBlock, resnet18


@pytest.mark.parametrize(("side", "stride_of_all"), [(64, 8), (96, 32)])
def test_stem_follows_the_size(side: int, stride_of_all: int) -> None:
    features = resnet18((3, side, side), classes=10)[:-3]

    assert features(torch.zeros(2, 3, side, side)).shape == (2, 512, side // stride_of_all, side // stride_of_all)


def test_block_passes_its_input_by_the_convolutions() -> None:
    block = BasicBlock(2, 2, stride=1).eval()
    for weights in block.body.parameters():
        torch.nn.init.zeros_(weights)
    x = torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)

    assert block(x).flatten().tolist() == [1, 0]
