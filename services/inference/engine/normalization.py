"""Normalize uint8 pixels into a model's float32 input."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.images import Preprocessing


class Normalization:
    """`(pixel / 255 - mean) / std` per channel, written as `pixel * scale + shift`."""

    def __init__(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        self._scale = (1 / (255 * std)).astype(np.float32).reshape(-1, 1, 1)
        self._shift = (-mean / std).astype(np.float32).reshape(-1, 1, 1)

    @classmethod
    def of(cls, preprocessing: Preprocessing) -> Self:
        """Build from a model's preprocessing; raises BadModel unless each channel has a mean and a positive std."""
        mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
        channels = preprocessing.image.shape[0]
        if not mean.shape == std.shape == (channels,) or not (std > 0).all():
            raise BadModel(f"preprocessing needs {channels} mean and {channels} positive std values, one per channel")
        return cls(mean, std)

    def apply(self, images: NDArray[np.uint8], out: NDArray[np.float32]) -> None:
        """Normalize uint8 (n, channels, height, width) into `out`, float32 of the same shape."""
        np.multiply(images, self._scale, out=out, dtype=np.float32)
        out += self._shift
