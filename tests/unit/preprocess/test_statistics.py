"""Mean and standard deviation equal numpy's."""

import numpy as np
import pytest

from services.preprocess.statistics import STD_FLOOR, Moments


@pytest.mark.parametrize("channels", [1, 3])
def test_results_equal_numpys(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (700, channels, 40, 30), np.uint8)

    mean, std = Moments.of(images).mean_and_std()

    scaled = images.astype(np.float64) / 255
    assert mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-12)


def test_nearly_constant_bright_pixels_keep_full_precision() -> None:
    images = np.full((100, 1, 100, 100), 255, np.uint8)
    images[:50] = 252

    mean, std = Moments.of(images).mean_and_std()

    assert mean == (253.5 / 255,)
    assert std == pytest.approx((1.5 / 255,), rel=1e-14)


def test_a_constant_channel_has_the_smallest_standard_deviation() -> None:
    images = np.zeros((2, 3, 4, 4), np.uint8)
    images[0, 0] = 255

    mean, std = Moments.of(images).mean_and_std()

    assert mean == (0.5, 0, 0)
    assert std == (0.5, STD_FLOOR, STD_FLOOR)


def test_moments_of_parts_add_up_to_the_moments_of_the_whole() -> None:
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 4, 5), np.uint8)

    added = Moments() + Moments.of(images[:2]) + Moments.of(images[:0]) + Moments.of(images[2:])

    assert added == Moments.of(images)
    assert Moments.model_validate_json(added.model_dump_json()) == added
