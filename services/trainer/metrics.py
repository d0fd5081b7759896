"""The only place that says how good a classifier is."""

import numpy as np
from numpy.typing import NDArray

from contract.training import ClassMetrics, Metrics

TOP = 5


def measure(logits: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]) -> Metrics:
    """Metrics of logits (n, classes) for the true class numbers (n,); n is at least 1."""
    matrix = confusion(logits.argmax(axis=1), labels, len(classes))
    return Metrics(
        accuracy=float(matrix.trace() / len(labels)),
        top5_accuracy=top_accuracy(logits, labels, TOP),
        loss=cross_entropy(logits, labels),
        confusion_matrix=tuple(tuple(row) for row in matrix.tolist()),
        per_class=dict(zip(classes, by_class(matrix), strict=True)),
    )


def confusion(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts: `[i, j]` of pictures of class i taken for class j."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def top_accuracy(logits: NDArray[np.float32], labels: NDArray[np.int64], top: int) -> float:
    """The share (0..1) of pictures for which less than `top` classes have a higher logit than the true one."""
    true = np.take_along_axis(logits, labels[:, np.newaxis], axis=1)
    return float(np.mean((logits > true).sum(axis=1) < top))


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The mean of -log softmax(logits)[label] in nats, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)  # or exp would overflow
    true = np.take_along_axis(shifted, labels[:, np.newaxis], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(shifted).sum(axis=1)) - true))


def by_class(matrix: NDArray[np.int64]) -> list[ClassMetrics]:
    """Precision, recall and F1 (0..1) of each class; 0 where there is nothing to divide by."""
    hits, support, taken = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    return [
        ClassMetrics(
            precision=_ratio(hit, named), recall=_ratio(hit, true), f1=_ratio(2 * hit, named + true), support=true
        )
        for hit, true, named in zip(hits.tolist(), support.tolist(), taken.tolist(), strict=True)
    ]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
