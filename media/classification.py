"""The only place that says how good a classifier is, after training and in batch prediction alike."""

from collections import Counter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from contract.base import Frozen, Whole
from contract.training import ClassMetrics, Metrics

TOP = 5


class Tally(Frozen):
    """Sums over pictures of known class, from which their metrics follow; the tallies of parts add up.

    `taken` counts pictures as (true class, predicted class, pictures), `in_top` those whose true class is among the
    five best, `loss` is the sum of their cross-entropies in nats.
    """

    taken: tuple[tuple[Whole, Whole, Whole], ...] = ()
    in_top: Whole = 0
    loss: float = 0.0

    @classmethod
    def of(cls, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Self:
        """Of logits (n, classes) for the true class numbers (n,)."""
        pairs = Counter(zip(labels.tolist(), logits.argmax(axis=1).tolist(), strict=True))
        return cls(taken=_cells(pairs), in_top=in_top(logits, labels, TOP), loss=cross_entropy(logits, labels))

    @property
    def count(self) -> int:
        return sum(pictures for _, _, pictures in self.taken)

    def __add__(self, other: Self) -> Self:
        pairs = Counter[tuple[int, int]]()
        for true, predicted, pictures in self.taken + other.taken:
            pairs[true, predicted] += pictures
        return type(self)(taken=_cells(pairs), in_top=self.in_top + other.in_top, loss=self.loss + other.loss)

    def metrics(self, classes: tuple[str, ...]) -> Metrics:
        """The metrics of at least one picture, for a classifier of these classes."""
        matrix = np.zeros((len(classes), len(classes)), np.int64)
        for true, predicted, pictures in self.taken:
            matrix[true, predicted] = pictures
        return Metrics(
            accuracy=float(matrix.trace() / self.count),
            top5_accuracy=self.in_top / self.count,
            loss=self.loss / self.count,
            confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
            per_class=dict(zip(classes, by_class(matrix), strict=True)),
        )


def in_top(logits: NDArray[np.float32], labels: NDArray[np.int64], top: int) -> int:
    """For how many pictures less than `top` classes have a higher logit than the true one."""
    true = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    return int(((logits > true).sum(axis=1) < top).sum())


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The sum of -log softmax(logits)[label] in nats, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # or exp would overflow
    true = np.take_along_axis(shifted, labels[:, np.newaxis], axis=1)[:, 0]
    return float(np.sum(np.log(np.exp(shifted).sum(axis=1)) - true))


def by_class(matrix: NDArray[np.int64]) -> list[ClassMetrics]:
    """Precision, recall and F1 (0..1) by class of a confusion matrix `[true, predicted]`; 0 where nothing divides."""
    hits, support, taken = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        ClassMetrics(
            precision=_ratio(hit, named), recall=_ratio(hit, true), f1=_ratio(2 * hit, named + true), support=true
        )
        for hit, true, named in zip(hits.tolist(), support.tolist(), taken.tolist(), strict=True)
    ]


def _cells(pairs: Counter[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((true, predicted, pictures) for (true, predicted), pictures in sorted(pairs.items()))


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
