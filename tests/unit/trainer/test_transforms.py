"""Normalization and augmentation of image batches."""

import numpy as np
import pytest
import torch
from torch import Tensor

from services.trainer.transforms import Normalize, augment


def test_normalize_per_channel() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)

    normalized = Normalize(mean=(0.5, 0.25), std=(0.25, 0.5))(images)

    assert normalized.dtype == torch.float32
    assert normalized.flatten().tolist() == [-2.0, 1.5]


def random_images(count: int, *shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8))


def variants(image: Tensor, most: int) -> list[bytes]:
    """Every allowed outcome for one image, computed with np.pad."""
    _, height, width = image.shape
    padded = np.pad(image.numpy(), ((0, 0), (most, most), (most, most)), mode="reflect")
    windows = [
        padded[:, top : top + height, left : left + width]
        for top in range(2 * most + 1)
        for left in range(2 * most + 1)
    ]
    return [window[:, :, ::step].tobytes() for window in windows for step in (1, -1)]


@pytest.mark.parametrize(("side", "most"), [(32, 2), (16, 1), (7, 0)])
def test_every_image_is_shifted_and_mirrored_independently(side: int, most: int) -> None:
    before = random_images(64, 3, side, side)
    torch.manual_seed(0)

    after = augment(before)

    assert after.dtype == torch.uint8
    choices = [variants(image, most).index(new.numpy().tobytes()) for image, new in zip(before, after, strict=True)]
    assert len(set(choices)) > len(variants(before[0], most)) / 2


def test_same_seed_gives_the_same_images() -> None:
    before = random_images(16, 3, 32, 32)

    first, second, other = [torch.manual_seed(seed) and augment(before) for seed in (1, 1, 2)]

    assert torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 8, 40), (1, 33, 2)])
def test_shape_does_not_change(shape: tuple[int, int, int]) -> None:
    assert augment(random_images(5, *shape)).shape == (5, *shape)
