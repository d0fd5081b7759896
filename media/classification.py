"""The metrics of a classifier, for training and batch prediction."""

from collections import Counter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.base import Frozen, Whole
from contract.training import ClassMetrics, Metrics

TOP = 5


class Tally(Frozen):
    """Sums over labelled images from which metrics are computed; the tallies of parts can be added.

    `taken` holds (true class, predicted class, images), `in_top` counts the images whose true class is among the top
    five, `loss` is the sum of cross-entropies in nats.
    """

    taken: tuple[tuple[Whole, Whole, Whole], ...] = ()
    in_top: Whole = 0
    loss: float = 0.0

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Self:
        """Tally logits (n, classes) against true class numbers (n,)."""
        pairs = Counter(zip(labels.tolist(), logits.argmax(axis=1).tolist(), strict=True))
        return cls(taken=_cells(pairs), in_top=in_top(logits, labels, TOP), loss=cross_entropy(logits, labels))

    @property
    def count(self) -> int:
        return sum(images for _, _, images in self.taken)

    def __add__(self, other: Self) -> Self:
        pairs = Counter[tuple[int, int]]()
        for true, predicted, images in self.taken + other.taken:
            pairs[true, predicted] += images
        return type(self)(taken=_cells(pairs), in_top=self.in_top + other.in_top, loss=self.loss + other.loss)

    def metrics(self, classes: tuple[str, ...]) -> Metrics:
        """Compute the metrics of at least one image."""
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        for true, predicted, images in self.taken:
            matrix[true, predicted] = images
        return Metrics(
            accuracy=float(matrix.trace() / self.count),
            top5_accuracy=self.in_top / self.count,
            loss=self.loss / self.count,
            confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
            per_class=dict(zip(classes, by_class(matrix), strict=True)),
        )


def in_top(logits: NDArray[np.float32], labels: NDArray[np.int64], top: int) -> int:
    """Count the images for which fewer than `top` classes have a higher logit than the true class."""
    true = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    return int(((logits > true).sum(axis=1) < top).sum())


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the sum of -log softmax(logits)[label] in nats, computed in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # keeps exp from overflowing
    true = np.take_along_axis(shifted, labels[:, np.newaxis], axis=1)[:, 0]
    return float(np.sum(np.log(np.exp(shifted).sum(axis=1)) - true))


def by_class(matrix: NDArray[np.int64]) -> list[ClassMetrics]:
    """Return precision, recall and F1 (0..1) by class of a confusion matrix `[true, predicted]`; x / 0 counts as 0."""
    hits, support, predictions = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        ClassMetrics(
            precision=_ratio(hit, predicted),
            recall=_ratio(hit, true),
            f1=_ratio(2 * hit, predicted + true),
            support=true,
        )
        for hit, true, predicted in zip(hits.tolist(), support.tolist(), predictions.tolist(), strict=True)
    ]


def _cells(pairs: Counter[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((true, predicted, images) for (true, predicted), images in sorted(pairs.items()))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
