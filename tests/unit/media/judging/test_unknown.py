"""The threshold for unknown images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.judging.unknown import precision_above, unknown_threshold

CASES = st.lists(st.tuples(st.sampled_from([0.5, 0.55, 0.6, 0.75, 0.9, 0.99, 1.0]), st.booleans()), min_size=1)


def two_classes(scores: list[float], right: list[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Make probabilities whose best class is 0 with these scores, and labels."""
    best = np.array(scores)
    return np.stack([best, 1 - best], axis=1), np.where(right, 0, 1)


def test_a_known_case() -> None:
    scores, labels = two_classes([0.95, 0.9, 0.8, 0.7, 0.6], [True, True, False, True, False])

    assert unknown_threshold(scores, labels, 0.75, fewest=1) == pytest.approx((0.7, 0.75, 0.8), abs=1e-5)
    assert unknown_threshold(scores, labels, 1.0, fewest=1) == pytest.approx((0.9, 1.0, 0.4), abs=1e-5)


def test_a_model_that_is_precise_enough_answers_all_and_nothing_less_confident() -> None:
    scores, labels = two_classes([0.95, 0.7], [True, True])

    assert unknown_threshold(scores, labels, fewest=1) == pytest.approx((0.7, 1.0, 1.0), abs=1e-5)


def test_there_is_no_threshold_if_the_most_confident_answers_are_wrong() -> None:
    scores, labels = two_classes([0.95, 0.7, 0.6], [False, True, True])

    assert unknown_threshold(scores, labels, fewest=1) is None


def test_equal_scores_are_on_one_side() -> None:
    scores, labels = two_classes([0.9, 0.9, 0.9, 0.95], [True, True, False, True])

    assert unknown_threshold(scores, labels, 0.9, fewest=1) == pytest.approx((0.95, 1.0, 0.25), abs=1e-5)


def test_a_precision_of_a_few_answers_is_not_trusted() -> None:
    scores, labels = two_classes([0.9] * 19 + [0.6] * 19, [True] * 19 + [False] * 19)

    assert unknown_threshold(scores, labels) is None
    assert unknown_threshold(np.append(scores, [[0.9, 0.1]], 0), np.append(labels, 0)) == (0.9, 1.0, 20 / 39)


@given(CASES, st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_the_threshold_is_the_lowest_that_is_precise_enough(cases: list[tuple[float, bool]], wanted: float) -> None:
    scores, labels = two_classes(*map(list, zip(*cases, strict=True)))
    choices = sorted({score - 1e-6 for score, _ in cases})
    precise = [below for below in choices if (precision_above(scores, labels, below)[0] or 0) >= wanted]

    threshold = unknown_threshold(scores, labels, wanted, fewest=1)

    assert (threshold is None) == (not precise)
    if threshold:
        assert threshold.below == pytest.approx(precise[0], abs=2e-6)
        assert precision_above(scores, labels, threshold.below) == (threshold.precision, threshold.coverage)


def test_a_threshold_that_no_answer_reaches_has_no_precision() -> None:
    scores, labels = two_classes([0.9], [True])

    assert precision_above(scores, labels, 0.95) == (None, 0.0)
