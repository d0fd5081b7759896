"""The mean and standard deviation that normalize a dataset."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.datasets import PixelSums

STD_FLOOR = 1 / 255  # one grey level; avoids dividing a constant channel by zero


class Moments(PixelSums):
    """The sums of pixels; they are integers, so they are exact for any number of images in any order."""

    @classmethod
    def of(cls, images: NDArray[np.uint8]) -> Self:
        """Sum all pixels of uint8 (count, channels, height, width)."""
        if not len(images):
            return cls()
        squares = np.multiply(images, images, dtype=np.uint16)
        return cls(
            count=images[:, 0].size,
            sums=tuple(images.sum(axis=(0, 2, 3), dtype=np.uint64).tolist()),
            squares=tuple(squares.sum(axis=(0, 2, 3), dtype=np.uint64).tolist()),
        )

    def __add__(self, other: Self) -> Self:
        if not (self.count and other.count):
            return self if self.count else other
        return type(self)(
            count=self.count + other.count,
            sums=tuple(map(sum, zip(self.sums, other.sums, strict=True))),
            squares=tuple(map(sum, zip(self.squares, other.squares, strict=True))),
        )

    def __sub__(self, other: Self) -> Self:
        """Return the sums without the pixels of `other`, which they include."""
        if not other.count:
            return self
        return type(self)(
            count=self.count - other.count,
            sums=tuple(one - less for one, less in zip(self.sums, other.sums, strict=True)),
            squares=tuple(one - less for one, less in zip(self.squares, other.squares, strict=True)),
        )

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return both per channel, of pixels scaled to 0..1; the deviation is the population's, at least STD_FLOOR."""
        mean = (total / (255 * self.count) for total in self.sums)
        variance = (
            (self.count * square - total**2) / (255 * self.count) ** 2
            for total, square in zip(self.sums, self.squares, strict=True)
        )
        return tuple(mean), tuple(max(STD_FLOOR, value**0.5) for value in variance)
