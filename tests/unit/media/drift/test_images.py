"""Brightness and sharpness of images, and the bins that count them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from media.drift.bins import names_of, typical
from media.drift.counting import bin_counts
from media.drift.images import measure


def smooth(count: int = 8, side: int = 64) -> NDArray[np.uint8]:
    """Images with large and small structures, channels last."""
    random = np.random.default_rng(0)
    images = [
        Image.fromarray(random.integers(0, 200, (side // 4, side // 4, 3), np.uint8)).resize((side, side))
        for _ in range(count)
    ]
    return np.array([np.asarray(image) for image in images])


def first_channel(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The images as models take them: (n, channels, height, width)."""
    return images.transpose(0, 3, 1, 2)


def test_brightness_is_the_mean_luma() -> None:
    colours = np.zeros((3, 3, 200, 100), np.uint8)
    colours[0, 0], colours[1, 1], colours[2] = 255, 255, 255

    assert measure(colours).brightness == pytest.approx([76.245, 149.685, 255])
    assert measure(colours[:, :1]).brightness == pytest.approx([255, 0, 255])


def test_blur_lowers_sharpness_and_darkness_does_not() -> None:
    images = smooth()
    blurred = np.array([np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(3))) for image in images])

    sharp, soft = measure(first_channel(images)).sharpness, measure(first_channel(blurred)).sharpness

    assert np.all(soft < sharp - 0.5)
    assert measure(first_channel(images // 2)).sharpness == pytest.approx(sharp, abs=0.1)


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 1, 8), (3, 500, 2), (1, 300, 300)])
def test_images_of_any_shape_are_measured(shape: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    flat = np.full((1, *shape), 7, np.uint8)

    assert np.all(np.isfinite(measure(noise).brightness))
    assert measure(flat).brightness == pytest.approx([7])
    assert measure(flat).sharpness == [-np.inf]


def test_an_image_is_measured_the_same_alone_and_in_a_batch() -> None:
    images = first_channel(smooth(3))
    together = measure(images)

    for index, image in enumerate(images):
        alone = measure(image[np.newaxis])
        assert alone.brightness[0] == pytest.approx(together.brightness[index])
        assert alone.sharpness[0] == pytest.approx(together.sharpness[index])


def test_values_count_in_their_bins_and_others_in_the_outer_ones() -> None:
    counts = bin_counts("confidence", [0.0, 0.049, 0.05, 0.999, 1.0, 1.5, -1.0, np.inf, -np.inf, np.nan])

    assert counts == (5, 1, *[0] * 17, 4)


def test_bins_have_names_and_a_median_in_their_own_unit() -> None:
    assert names_of("confidence")[-1] == "0.95 to 1"
    assert names_of("width")[10:12] == ["32 to 45.3", "45.3 to 64"]
    assert typical("brightness", bin_counts("brightness", [100, 101, 200])) == pytest.approx(100, abs=12.8)
    assert typical("height", bin_counts("height", np.log2([640, 650, 660]))) == pytest.approx(650, rel=0.2)
