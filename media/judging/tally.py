"""Sums over labelled images from which metrics are computed, for training, batch prediction and evaluation."""

from collections import Counter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.base import Frozen, Whole
from contract.evaluation import Metrics
from media.judging.accuracy import Matrix, balanced_accuracy, by_class, macro_f1
from media.judging.calibration import added, calibration_error, confidence_bins
from media.judging.intervals import wilson_interval
from media.judging.temperature import confidences, losses

TOP = 5


class Tally(Frozen):
    """Sums over labelled images; the tallies of parts can be added.

    `taken` holds (true class, predicted class, images), `in_top` counts the images whose true class is among the top
    five, `loss` is the sum of cross-entropies in nats. `bins` are those of `media.judging.calibration`; parts of older
    releases have none.
    """

    taken: tuple[tuple[Whole, Whole, Whole], ...] = ()
    in_top: Whole = 0
    loss: float = 0.0
    bins: tuple[tuple[Whole, Whole, Whole], ...] = ()

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Self:
        """Tally logits (n, classes) against true class numbers (n,)."""
        predicted = logits.argmax(axis=1)
        return cls(
            taken=_cells(Counter(zip(labels.tolist(), predicted.tolist(), strict=True))),
            in_top=in_top(logits, labels, TOP),
            loss=float(losses(logits, labels).sum()),
            bins=confidence_bins(confidences(logits), predicted == labels),
        )

    @property
    def count(self) -> int:
        return sum(images for _, _, images in self.taken)

    def __add__(self, other: Self) -> Self:
        pairs = Counter[tuple[int, int]]()
        for true, predicted, images in self.taken + other.taken:
            pairs[true, predicted] += images
        return type(self)(
            taken=_cells(pairs),
            in_top=self.in_top + other.in_top,
            loss=self.loss + other.loss,
            bins=added(self.bins, other.bins),
        )

    def matrix(self, classes: int) -> Matrix:
        """Return the confusion matrix of this many classes."""
        matrix = np.zeros((classes, classes), np.int64)
        for true, predicted, images in self.taken:
            matrix[true, predicted] = images
        return matrix

    def metrics(self, classes: tuple[str, ...]) -> Metrics:
        """Compute the metrics of at least one image."""
        matrix = self.matrix(len(classes))
        hits = int(matrix.trace())
        has_all_bins = sum(images for images, _, _ in self.bins) == self.count
        return Metrics(
            accuracy=hits / self.count,
            accuracy_interval=wilson_interval(hits, self.count),
            balanced_accuracy=balanced_accuracy(matrix),
            macro_f1=macro_f1(matrix),
            top5_accuracy=self.in_top / self.count if len(classes) > TOP else None,
            loss=self.loss / self.count,
            expected_calibration_error=calibration_error(self.bins) if has_all_bins else None,
            confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
            per_class=dict(zip(classes, by_class(matrix), strict=True)),
        )


def in_top(logits: NDArray[np.float32], labels: NDArray[np.int64], top: int) -> int:
    """Count the images whose true class is among the `top` best; ties go to the lower class number, as in serving."""
    true = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    is_earlier = np.arange(logits.shape[1]) < labels[:, np.newaxis]
    return int((((logits > true) | ((logits == true) & is_earlier)).sum(axis=1) < top).sum())


def _cells(pairs: Counter[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((true, predicted, images) for (true, predicted), images in sorted(pairs.items()))
