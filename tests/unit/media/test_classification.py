"""The metrics of a classifier."""

import numpy as np
import pytest

from contract.training import ClassMetrics
from media.classification import Tally, by_class, cross_entropy, in_top

LABELS = np.array([0, 0, 1, 2])
LOGITS = np.log(np.array([[8, 1, 1], [1, 8, 1], [1, 8, 1], [2, 1, 7]], np.float32) / 10)  # softmax gives these back
CLASSES = ("ant", "bee", "cat")


def test_metrics_of_a_known_case() -> None:
    metrics = Tally.of(LOGITS, LABELS).metrics(CLASSES)

    assert metrics.accuracy == 0.75
    assert metrics.top5_accuracy == 1.0
    assert metrics.loss == pytest.approx(-np.log([0.8, 0.1, 0.8, 0.7]).mean(), rel=1e-6)
    assert metrics.confusion_matrix == ((1, 1, 0), (0, 1, 0), (0, 0, 1))
    assert metrics.per_class == {
        "ant": ClassMetrics(precision=1.0, recall=0.5, f1=2 / 3, support=2),
        "bee": ClassMetrics(precision=0.5, recall=1.0, f1=2 / 3, support=1),
        "cat": ClassMetrics(precision=1.0, recall=1.0, f1=1.0, support=1),
    }


def test_rows_of_the_confusion_matrix_are_the_true_classes() -> None:
    logits = np.array([[0, 1], [0, 1], [1, 0]], np.float32)

    metrics = Tally.of(logits, np.array([0, 0, 1])).metrics(("ant", "bee"))

    assert metrics.confusion_matrix == ((0, 2), (1, 0))


def test_tallies_of_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(90, 9)).astype(np.float32), rng.integers(0, 9, 90)
    whole = Tally.of(logits, labels)

    parts = [Tally.of(logits[part], labels[part]) for part in (slice(0, 17), slice(17, 60), slice(60, 90))]
    added = sum((Tally.model_validate_json(part.model_dump_json()) for part in parts), start=Tally())

    assert (added.taken, added.in_top, added.count) == (whole.taken, whole.in_top, 90)
    assert added.loss == pytest.approx(whole.loss, rel=1e-12)


def test_class_without_images_has_zeros() -> None:
    without_images = by_class(np.array([[2, 0], [0, 0]]))[1]

    assert without_images == ClassMetrics(precision=0, recall=0, f1=0, support=0)


@pytest.mark.parametrize(("top", "expected"), [(1, 0), (2, 1), (3, 2)])
def test_top_counts_classes_above_the_true_one(top: int, expected: int) -> None:
    logits = np.array([[3, 2, 1], [3, 2, 1]], np.float32)

    assert in_top(logits, np.array([1, 2]), top) == expected


def test_loss_of_large_logits_is_finite() -> None:
    logits = np.array([[1e4, 0]], np.float32)

    assert cross_entropy(logits, np.array([0])) == 0
    assert cross_entropy(logits, np.array([1])) == 1e4
