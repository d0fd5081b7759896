"""The bins in which scores and images are counted, the same at training and at serving."""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from contract.drift import NumberStatistic

Counts = NDArray[np.int64]


class Scale(NamedTuple):
    """Equal bins from `low` to `high`; values outside count in the first or the last one."""

    low: float
    high: float
    bins: int

    def counts(self, values: ArrayLike) -> Counts:
        """Return how many values are in each bin; NaN counts in the first one."""
        scaled = (np.asarray(values, np.float64) - self.low) * (self.bins / (self.high - self.low))
        numbers = np.clip(np.nan_to_num(scaled, nan=0.0), 0, self.bins - 1).astype(np.int64)
        return np.bincount(numbers, minlength=self.bins)

    def edges(self) -> list[float]:
        edges: list[float] = np.linspace(self.low, self.high, self.bins + 1).tolist()
        return edges

    def middles(self) -> NDArray[np.float64]:
        edges = np.array(self.edges())
        middles: NDArray[np.float64] = (edges[1:] + edges[:-1]) / 2
        return middles


SCALES: Mapping[NumberStatistic, Scale] = {
    "confidence": Scale(0.0, 1.0, 20),
    "brightness": Scale(0.0, 256.0, 20),
    "sharpness": Scale(-10.0, 2.0, 24),  # log2 of `media.drift.images.Measured.sharpness`
    "width": Scale(0.0, 15.0, 30),  # log2 of pixels
    "height": Scale(0.0, 15.0, 30),
}
LOGARITHMIC = frozenset({"sharpness", "width", "height"})


def names_of(statistic: NumberStatistic) -> list[str]:
    """Return the range of values of each bin, in words."""
    edges = SCALES[statistic].edges()
    if statistic in LOGARITHMIC:
        edges = [2**edge for edge in edges]
    texts = [f"{edge:.3g}" if edge < 1000 else f"{edge:.0f}" for edge in edges]
    return [f"{low} to {high}" for low, high in pairwise(texts)]


def typical(statistic: NumberStatistic, counts: ArrayLike) -> float:
    """Return the median of a histogram with at least one count, within half a bin."""
    total = np.cumsum(np.asarray(counts, np.float64))
    middle = float(SCALES[statistic].middles()[int(np.searchsorted(total, total[-1] / 2))])
    return 2**middle if statistic in LOGARITHMIC else middle
