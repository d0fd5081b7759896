"""The small residual network."""

import pytest
import torch

from services.trainer.cnn import Residual, block, cnn


def test_residual_adds_its_input() -> None:
    residual = Residual(torch.nn.Identity())

    assert residual(torch.ones(2)).tolist() == [2, 2]


@pytest.mark.parametrize(("side", "after"), [(32, 16), (7, 4), (1, 1)])
def test_a_pooling_block_halves_the_side_and_rounds_up(side: int, after: int) -> None:
    assert block(3, 5, pool=True)(torch.zeros(2, 3, side, side)).shape == (2, 5, after, after)


@pytest.mark.parametrize(("side", "more_blocks"), [(64, 0), (65, 1), (128, 1), (224, 2)])
def test_large_images_are_first_halved_to_64_pixels(side: int, more_blocks: int) -> None:
    small = cnn((3, 32, 32), classes=10)

    large = cnn((3, side, side), classes=10)

    assert len(large) - len(small) == more_blocks
