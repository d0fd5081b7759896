"""Tallies of classified images, and the metrics from them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.evaluation import ClassMetrics, Metrics
from media.judging.tally import Tally, in_top

LABELS = np.array([0, 0, 1, 2])
LOGITS = np.log(np.array([[8, 1, 1], [1, 8, 1], [1, 8, 1], [2, 1, 7]], np.float32) / 10)  # softmax gives these back
CLASSES = ("ant", "bee", "cat")


def test_metrics_of_a_known_case() -> None:
    metrics = Tally.of(LOGITS, LABELS).metrics(CLASSES)

    assert metrics.accuracy == 0.75
    assert metrics.accuracy_interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    assert metrics.balanced_accuracy == pytest.approx((0.5 + 1 + 1) / 3)
    assert metrics.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics.loss == pytest.approx(-np.log([0.8, 0.1, 0.8, 0.7]).mean(), rel=1e-6)
    assert metrics.expected_calibration_error == pytest.approx((3 * abs(2 / 3 - 0.8) + 0.3) / 4, rel=1e-6)
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


@pytest.mark.parametrize(("classes", "top5"), [(3, None), (5, None), (6, 5 / 6)])
def test_few_classes_have_no_top5_accuracy(classes: int, top5: float | None) -> None:
    logits = np.tile(np.arange(classes, dtype=np.float32), (classes, 1))

    metrics = Tally.of(logits, np.arange(classes)).metrics(tuple("abcdef"[:classes]))

    assert metrics.top5_accuracy == top5


@given(st.integers(0, 10_000), st.lists(st.integers(0, 60), max_size=3))
def test_tallies_of_parts_add_up_to_the_whole(seed: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(size=(60, 9)).astype(np.float32), rng.integers(0, 9, 60)
    whole = Tally.of(logits, labels)
    edges = [0, *sorted(cuts), 60]

    parts = [Tally.of(logits[a:b], labels[a:b]) for a, b in pairwise(edges)]
    added = sum((Tally.model_validate_json(part.model_dump_json()) for part in parts), start=Tally())

    assert added.model_copy(update={"loss": whole.loss}) == whole
    assert added.loss == pytest.approx(whole.loss, rel=1e-12)


def test_parts_of_an_older_release_have_no_calibration_error() -> None:
    old = Tally.of(LOGITS, LABELS).model_copy(update={"bins": ()})

    metrics = (old + Tally.of(LOGITS, LABELS)).metrics(CLASSES)

    assert metrics.accuracy == 0.75
    assert metrics.expected_calibration_error is None


def test_metrics_of_an_older_release_still_parse() -> None:
    stored = {"accuracy": 0.5, "top5_accuracy": 1.0, "loss": 0.7, "confusion_matrix": [], "per_class": {}}

    assert Metrics.model_validate(stored).macro_f1 is None


@pytest.mark.parametrize(("top", "expected"), [(1, 0), (2, 1), (3, 2)])
def test_top_counts_classes_above_the_true_one(top: int, expected: int) -> None:
    logits = np.array([[3, 2, 1], [3, 2, 1]], np.float32)

    assert in_top(logits, np.array([1, 2]), top) == expected


def test_ties_go_to_the_lower_class_as_in_serving() -> None:
    equal = np.zeros((6, 6), np.float32)

    assert [in_top(equal[:1], np.array([label]), 5) for label in range(6)] == [1, 1, 1, 1, 1, 0]
    assert Tally.of(equal, np.arange(6)).metrics(tuple("abcdef")).accuracy == 1 / 6
