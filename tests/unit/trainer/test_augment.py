"""Random changes of training pictures."""

import numpy as np
import pytest
import torch
from torch import Tensor

from services.trainer.augment import augment


def pictures(count: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8))


def variants(picture: Tensor, most: int) -> list[bytes]:
    """Every allowed outcome for one picture, made the long way."""
    _, height, width = picture.shape
    padded = np.pad(picture.numpy(), ((0, 0), (most, most), (most, most)), mode="reflect")
    windows = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * most + 1)
        for left in range(2 * most + 1)
    ]
    return [window[:, :, ::step].tobytes() for window in windows for step in (1, -1)]


@pytest.mark.parametrize(("side", "most"), [(32, 2), (16, 1), (7, 0)])
def test_every_picture_is_shifted_and_mirrored_on_its_own(side: int, most: int) -> None:
    before = pictures(64, 3, side, side)
    torch.manual_seed(0)

    after = augment(before)

    assert after.dtype == torch.uint8
    choices = [variants(picture, most).index(new.numpy().tobytes()) for picture, new in zip(before, after, strict=True)]
    assert len(set(choices)) > len(variants(before[0], most)) / 2


def test_same_seed_gives_the_same_pictures() -> None:
    before = pictures(16, 3, 32, 32)

    first, second, other = [torch.manual_seed(seed) and augment(before) for seed in (1, 1, 2)]

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 40), (1, 33, 2)])
def test_any_shape_is_kept(shape: tuple[int, int, int]) -> None:
    assert augment(pictures(5, *shape)).shape == (5, *shape)
