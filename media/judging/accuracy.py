"""Accuracy, and metrics that give each class the same weight."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from contract.evaluation import ClassMetrics

Matrix = NDArray[np.int64]
"""A confusion matrix: `[i, j]` counts the images of class i that were predicted as class j."""

SelectionMetric = Literal["accuracy", "macro_f1"]

IMBALANCE = 2.0  # the largest class to the smallest


def accuracy(matrix: Matrix) -> float:
    return float(matrix.trace() / matrix.sum())


def by_class(matrix: Matrix) -> list[ClassMetrics]:
    """Return precision, recall and F1 (0..1) by class; x / 0 counts as 0."""
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


def balanced_accuracy(matrix: Matrix) -> float:
    """Return the mean recall (0..1) of the classes that have images."""
    return _mean([metrics.recall for metrics in by_class(matrix) if metrics.support])


def macro_f1(matrix: Matrix) -> float:
    """Return the mean F1 (0..1) of the classes that have images."""
    return _mean([metrics.f1 for metrics in by_class(matrix) if metrics.support])


def selection_metric(counts: Sequence[int]) -> SelectionMetric:
    """Return the metric that should choose the best epoch or model, given the number of training images by class.

    This is macro-F1 if one class has more than twice as many images as another (classes without images do not count),
    because accuracy would hide that small classes are missed.
    """
    sizes = [count for count in counts if count]
    return "macro_f1" if sizes and max(sizes) > IMBALANCE * min(sizes) else "accuracy"


def selection_score(matrix: Matrix, metric: SelectionMetric) -> float:
    """Return the metric of a confusion matrix of at least one image; higher is better."""
    return macro_f1(matrix) if metric == "macro_f1" else accuracy(matrix)


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> Matrix:
    """Count images by true and predicted class number."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
