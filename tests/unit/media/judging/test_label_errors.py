"""Likely label errors by confident learning."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.judging.label_errors import class_thresholds, likely_label_errors
from media.judging.temperature import probabilities
from tests.unit.media.judging.data import LABELS, LOGITS

SCORES = probabilities(LOGITS)


def test_the_rows_are_those_of_cleanlab() -> None:
    # find_label_issues(filter_by="confident_learning", return_indices_ranked_by="normalized_margin"), cleanlab 2.9.0
    errors = likely_label_errors(SCORES, LABELS)

    assert [error.row for error in errors] == [6, 2]
    assert [error.suggested for error in errors] == [0, 1]
    # get_self_confidence_for_each_label; and get_normalized_margin_for_each_label, which is (margin + 1) / 2
    assert [error.self_confidence for error in errors] == pytest.approx([0.02108604, 0.07420145], rel=1e-5)
    assert [(error.margin + 1) / 2 for error in errors] == pytest.approx([0.03925764, 0.12813289], rel=1e-5)


def test_thresholds_are_those_of_cleanlab() -> None:
    own = SCORES[np.arange(10), LABELS]

    # get_confident_thresholds, cleanlab 2.9.0
    assert class_thresholds(own, LABELS, 4) == pytest.approx([0.46406988, 0.35745703, 0.30580974, 0.8907142], rel=1e-6)
    assert class_thresholds(own, LABELS, 5)[4] == np.inf


def test_swapped_labels_are_found_and_few_others() -> None:
    # given confident predictions of three classes, and 10 of 300 labels replaced by the next class
    rng = np.random.default_rng(0)
    truth = np.arange(300) % 3
    scores = probabilities(6 * np.eye(3)[truth] + rng.normal(0, 1, (300, 3)))
    labels = truth.copy()
    labels[:10] = (labels[:10] + 1) % 3

    errors = likely_label_errors(scores, labels)

    rows = {error.row for error in errors}
    assert len(rows & set(range(10))) >= 9
    assert len(rows) <= 15


def test_no_images_have_no_errors() -> None:
    assert likely_label_errors(SCORES[:0], LABELS[:0]) == []


@given(st.integers(0, 10_000))
def test_a_label_that_is_predicted_is_never_suspected(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = probabilities(rng.normal(0, 2, (30, 4)))
    labels = rng.integers(0, 4, 30)

    errors = likely_label_errors(scores, labels)

    assert not {error.row for error in errors} & set(np.flatnonzero(scores.argmax(axis=1) == labels).tolist())
    assert all(error.suggested != labels[error.row] and error.margin < 0 for error in errors)
    assert [error.margin for error in errors] == sorted(error.margin for error in errors)
