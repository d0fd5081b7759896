"""The bins in which scores and images are counted, the same at training and at serving."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from contract.drift import NumberStatistic


class Scale(NamedTuple):
    """Equal bins from `low` to `high`; values outside count in the first or the last one."""

    low: float
    high: float
    bins: int

    def edges(self) -> list[float]:
        return [self.low + (self.high - self.low) * number / self.bins for number in range(self.bins + 1)]


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


def typical(statistic: NumberStatistic, counts: Sequence[float]) -> float:
    """Return the median of a histogram with at least one count, within half a bin."""
    totals = list(accumulate(counts))
    index = bisect_left(totals, totals[-1] / 2)
    low, high = SCALES[statistic].edges()[index : index + 2]
    middle = (low + high) / 2
    return 2**middle if statistic in LOGARITHMIC else middle
