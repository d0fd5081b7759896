"""The score below which an answer should be read as "unknown"."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FEWEST_ANSWERS = 20  # at or above a threshold; the precision of fewer is mostly chance
_STEPS = 10**6  # of a threshold; coarser than the rounding of a float32 score


class Threshold(NamedTuple):
    """A score (0..1), the share of right answers at or above it, and the share of images that get an answer."""

    below: float
    precision: float
    coverage: float


def unknown_threshold(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    precision: float = 0.95,
    fewest: int = FEWEST_ANSWERS,
) -> Threshold | None:
    """Return the threshold that answers most images while at least `precision` of the answers are right.

    None if no threshold does with at least `fewest` answers: the most confident answers are wrong too often. If all
    answers together are precise enough, the threshold is the lowest score, so that less confident answers than any of
    these count as unknown. Expects probabilities (n, classes), n > 0, of images that training did not use.
    """
    scores = np.floor(probabilities.max(axis=1).astype(np.float64) * _STEPS).astype(np.int64)
    right = probabilities.argmax(axis=1) == labels
    order = np.argsort(-scores, kind="stable")
    answered = np.arange(1, len(order) + 1)
    precisions = np.cumsum(right[order]) / answered
    is_last_of_ties = np.append(np.diff(scores[order]) != 0, True)
    good = np.flatnonzero(is_last_of_ties & (precisions >= precision) & (answered >= fewest))
    if not len(good):
        return None
    last = good[-1]
    return Threshold(float(scores[order[last]] / _STEPS), float(precisions[last]), float(answered[last] / len(order)))


def precision_above(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], below: float
) -> tuple[float | None, float]:
    """Return the share of right answers with a score of at least `below`, None without any, and the share of such."""
    answered = probabilities.max(axis=1) >= below
    right = (probabilities.argmax(axis=1) == labels)[answered]
    return (float(right.mean()) if len(right) else None), float(answered.mean())
