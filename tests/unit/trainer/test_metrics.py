"""How good a classifier is."""

import numpy as np
import pytest

from contract.training import ClassMetrics
from services.trainer.metrics import by_class, confusion, cross_entropy, measure, top_accuracy

LABELS = np.array([0, 0, 1, 2])
LOGITS = np.log(np.array([[8, 1, 1], [1, 8, 1], [1, 8, 1], [2, 1, 7]], np.float32) / 10)  # softmax gives these back


def test_measure_of_a_known_case() -> None:
    found = measure(LOGITS, LABELS, ("ant", "bee", "cat"))

    assert found.accuracy == 0.75
    assert found.top5_accuracy == 1.0
    assert found.loss == pytest.approx(-np.log([0.8, 0.1, 0.8, 0.7]).mean(), rel=1e-6)
    assert found.confusion_matrix == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert found.per_class == {
        "ant": ClassMetrics(precision=1.0, recall=0.5, f1=2 / 3, support=2),
        "bee": ClassMetrics(precision=0.5, recall=1.0, f1=2 / 3, support=1),
        "cat": ClassMetrics(precision=1.0, recall=1.0, f1=1.0, support=1),
    }


def test_confusion_counts_the_true_class_by_row() -> None:
    matrix = confusion(predicted=np.array([1, 1, 0]), labels=np.array([0, 0, 1]), classes=3)

    assert matrix.tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]


def test_class_without_pictures_has_zeros() -> None:
    never_seen = by_class(np.array([[2, 0], [0, 0]]))[1]

    assert never_seen == ClassMetrics(precision=0, recall=0, f1=0, support=0)


@pytest.mark.parametrize(("top", "expected"), [(1, 0.0), (2, 0.5), (3, 1.0)])
def test_top_accuracy_counts_classes_above_the_true_one(top: int, expected: float) -> None:
    logits = np.array([[3, 2, 1], [3, 2, 1]], np.float32)

    assert top_accuracy(logits, np.array([1, 2]), top) == expected


def test_loss_of_large_logits_is_finite() -> None:
    logits = np.array([[1e4, 0]], np.float32)

    assert cross_entropy(logits, np.array([0])) == 0
    assert cross_entropy(logits, np.array([1])) == 1e4
