"""Counts scores and measured images by bin."""

import numpy as np
from numpy.typing import ArrayLike

from contract.drift import Bins, NumberStatistic
from media.drift.bins import SCALES


def bin_counts(statistic: NumberStatistic, values: ArrayLike) -> Bins:
    """Return how many values are in each bin; NaN counts in the first one."""
    low, high, bins = SCALES[statistic]
    scaled = (np.asarray(values, np.float64) - low) * (bins / (high - low))
    numbers = np.clip(np.nan_to_num(scaled, nan=0.0), 0, bins - 1).astype(np.int64)
    return tuple(np.bincount(numbers, minlength=bins).tolist())
