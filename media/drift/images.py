"""Brightness and sharpness of prepared images, cheap enough to measure while serving."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 128  # pixels of the middle in which sharpness is measured
SPARSE = 64  # pixels a side, about, of which brightness is the mean
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
_FLAT = 1.0  # variance of 0..255 below which an image has nothing to be sharp


class Measured(NamedTuple):
    """By image: the mean luma (0..255), and log2 of the sharpness.

    The sharpness is the mean squared difference of neighbouring pixels, divided by the variance of the pixels, so that
    it does not change with brightness and contrast: about 4 for noise, and the smaller, the more an image is blurred.
    It is -infinity for an image of one colour.
    """

    brightness: NDArray[np.float64]
    sharpness: NDArray[np.float64]


def measure(pixels: NDArray[np.uint8]) -> Measured:
    """Measure images uint8 (n, channels, height, width), as they are prepared for a model; channels are 1 or 3."""
    height, width = pixels.shape[2:]
    step = max(1, min(height, width) // SPARSE)
    top, left = max(0, (height - SIDE) // 2), max(0, (width - SIDE) // 2)
    middle = _luma(pixels[:, :, top : top + SIDE, left : left + SIDE])
    variance = middle.var(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        sharpness = np.log2((_energy(middle, 1) + _energy(middle, 2)) / variance)
    sharpness[~(variance >= _FLAT)] = -np.inf
    brightness = _luma(pixels[:, :, ::step, ::step]).mean(axis=(1, 2))
    return Measured(brightness.astype(np.float64), sharpness.astype(np.float64))


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    if pixels.shape[1] == 1:
        return pixels[:, 0].astype(np.float32)
    red, green, blue = (np.multiply(pixels[:, index], weight, dtype=np.float32) for index, weight in enumerate(_LUMA))
    luma: NDArray[np.float32] = red + green + blue
    return luma


def _energy(luma: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Return the mean squared difference of neighbours along an axis; 0 for a side of one pixel."""
    if luma.shape[axis] < 2:
        return np.zeros(len(luma), np.float32)
    difference = np.diff(luma, axis=axis)
    energy: NDArray[np.float32] = np.square(difference).mean(axis=(1, 2))
    return energy
