"""Perceptual hashes of images."""

import numpy as np
import pytest

from media.hashes import perceptual_hashes
from tests.support.images import noise


def smooth(seed: int, side: int = 64) -> np.ndarray:
    """An image of large cells, uint8 (3, side, side)."""
    return noise(8, 8, seed=seed).repeat(side // 8, axis=0).repeat(side // 8, axis=1).transpose(2, 0, 1)


def bits(number: int) -> int:
    return int(number).bit_count()


def test_the_bits_are_those_of_the_cells() -> None:
    image = np.zeros((1, 1, 16, 18), np.uint8)
    image[0, 0, :2] = 200  # the first row of cells
    image[0, 0, 14:, 16:] = 90  # the last cell of the difference hash

    (average,), (difference,) = perceptual_hashes(image)

    assert average == 0xFF << 56 | 1
    assert difference == 1


@pytest.mark.parametrize("change", ["brighter", "noisy", "smaller"])
def test_similar_images_have_similar_hashes(change: str) -> None:
    image = smooth(1)
    changed = {
        "brighter": np.clip(image.astype(int) + 10, 0, 255).astype(np.uint8),
        "noisy": np.clip(image + np.random.default_rng(0).integers(-6, 7, image.shape), 0, 255).astype(np.uint8),
        "smaller": smooth(1, side=24),
    }[change]

    pairs = zip(perceptual_hashes(image[None]), perceptual_hashes(changed[None]), strict=True)

    assert all(bits(one[0] ^ other[0]) <= 6 for one, other in pairs)


def test_different_images_have_different_hashes() -> None:
    averages, differences = perceptual_hashes(np.stack([smooth(seed) for seed in range(10)]))

    for hashes in (averages, differences):
        distances = [bits(hashes[a] ^ hashes[b]) for a in range(10) for b in range(a)]
        assert min(distances) > 10


def test_a_flat_image_has_no_bits() -> None:
    averages, differences = perceptual_hashes(np.full((2, 3, 50, 70), 77, np.uint8))

    assert not averages.any()
    assert not differences.any()
