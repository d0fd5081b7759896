"""The mean and standard deviation that normalize a dataset."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.base import Frozen, Whole

STD_FLOOR = 1 / 255  # one grey level; avoids dividing a constant channel by zero


class Moments(Frozen):
    """Per channel, the sums of grey levels (0..255) and of their squares over `count` pixels; empty without pixels.

    The sums are integers, so they are exact for any number of images in any order.
    """

    count: Whole = 0
    sums: tuple[Whole, ...] = ()
    squares: tuple[Whole, ...] = ()

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

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return both per channel of pixels scaled to 0..1; the population standard deviation, at least STD_FLOOR."""
        mean = (total / (255 * self.count) for total in self.sums)
        variance = (
            (self.count * square - total**2) / (255 * self.count) ** 2
            for total, square in zip(self.sums, self.squares, strict=True)
        )
        return tuple(mean), tuple(max(STD_FLOOR, value**0.5) for value in variance)
