"""Images whose label is probably wrong, by confident learning."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHUNK = 4096  # rows at once, to save memory
_TOLERANCE = 1e-6  # of a threshold, so that rounding does not decide


class Suspect(NamedTuple):
    """A row whose label is probably wrong, the class that it probably shows, and how sure that is.

    `self_confidence` is the probability of the label; `margin` is that minus the best probability of another class.
    """

    row: int
    suggested: int
    self_confidence: float
    margin: float


def likely_label_errors(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> list[Suspect]:
    """Return the rows of probabilities (n, classes) whose label is probably wrong, the lowest margin first.

    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021: the threshold of
    a class is the mean self-confidence of its images. A row counts for the most probable class among those whose
    threshold its probability reaches; if that is not its label, the label is probably wrong. The probabilities must
    come from a model that was not trained on these images, or it may have learned the wrong labels.
    """
    if not len(labels):
        return []
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    thresholds = class_thresholds(own, labels, probabilities.shape[1])
    suspects = list[Suspect]()
    for start in range(0, len(labels), _CHUNK):
        part = slice(start, start + _CHUNK)
        suspects += _suspects(start, probabilities[part], labels[part], own[part], thresholds)
    return sorted(suspects, key=lambda suspect: suspect.margin)


def _suspects(
    start: int,
    probabilities: NDArray[np.floating],
    labels: NDArray[np.int64],
    own: NDArray[np.float64],
    thresholds: NDArray[np.float64],
) -> Iterator[Suspect]:
    candidates = np.where(probabilities >= thresholds - _TOLERANCE, probabilities, -1.0)
    suggested = candidates.argmax(axis=1)
    is_suspect = (candidates.max(axis=1) >= 0) & (suggested != labels)
    others = np.array(probabilities, np.float64)
    others[np.arange(len(labels)), labels] = -1.0
    margins = own - others.max(axis=1)
    for row in np.flatnonzero(is_suspect & (margins < 0)).tolist():
        yield Suspect(start + row, int(suggested[row]), float(own[row]), float(margins[row]))


def class_thresholds(
    self_confidence: NDArray[np.float64], labels: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Return the mean self-confidence by class; infinity for a class without images."""
    sums = np.bincount(labels, weights=self_confidence, minlength=classes)
    counts = np.bincount(labels, minlength=classes)
    means: NDArray[np.float64] = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    return means
