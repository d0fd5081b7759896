"""Accuracy, and the metrics that weigh classes equally."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.evaluation import ClassMetrics
from media.judging.accuracy import (
    accuracy,
    balanced_accuracy,
    by_class,
    confusion_matrix,
    macro_f1,
    selection_metric,
    selection_score,
)
from tests.unit.media.judging.data import LABELS, LOGITS

MATRIX = confusion_matrix(LABELS, LOGITS.argmax(axis=1), 4)


def test_means_over_classes_are_those_of_scikit_learn() -> None:
    # balanced_accuracy_score and f1_score(average="macro"), scikit-learn 1.9.1
    assert accuracy(MATRIX) == 0.7
    assert balanced_accuracy(MATRIX) == pytest.approx(0.7291666666666666)
    assert macro_f1(MATRIX) == pytest.approx(0.6874999999999999)


def test_a_class_without_images_has_zeros_and_does_not_count_in_means() -> None:
    matrix = np.array([[2, 0, 0], [0, 3, 1], [0, 0, 0]])

    assert by_class(matrix)[2] == ClassMetrics(precision=0, recall=0, f1=0, support=0)
    assert balanced_accuracy(matrix) == (1 + 3 / 4) / 2
    assert macro_f1(matrix) == pytest.approx((1 + 6 / 7) / 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_each_image_is_in_one_cell(pairs: list[tuple[int, int]]) -> None:
    true, predicted = np.array(pairs).T

    matrix = confusion_matrix(true, predicted, 4)

    assert matrix.sum() == len(pairs)
    assert all(matrix[i, j] == pairs.count((i, j)) for i in range(4) for j in range(4))


@pytest.mark.parametrize(
    ("counts", "metric"),
    [
        ([100, 100], "accuracy"),
        ([100, 50], "accuracy"),
        ([101, 50], "macro_f1"),
        ([900, 30, 70], "macro_f1"),
        ([40, 0, 40], "accuracy"),
        ([], "accuracy"),
    ],
)
def test_imbalanced_classes_are_judged_by_macro_f1(counts: list[int], metric: str) -> None:
    assert selection_metric(counts) == metric


def test_macro_f1_prefers_a_model_that_knows_the_small_class() -> None:
    ignores = np.array([[95, 0], [5, 0]])
    knows = np.array([[90, 5], [1, 4]])

    assert selection_score(ignores, "accuracy") > selection_score(knows, "accuracy")
    assert selection_score(ignores, "macro_f1") < selection_score(knows, "macro_f1")
