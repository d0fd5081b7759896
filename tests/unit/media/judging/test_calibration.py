"""The expected calibration error."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from media.judging.calibration import added, calibration_error, confidence_bins, expected_calibration_error
from media.judging.temperature import probabilities
from tests.unit.media.judging.data import LABELS, LOGITS

SCORES = st.floats(0, 1)


def by_definition(confidence: np.ndarray, right: np.ndarray) -> float:
    edges = np.arange(16) / 15
    error = 0.0
    for low, high in pairwise(edges):
        mask = (confidence > low) & (confidence <= high)
        if mask.any():
            error += mask.mean() * abs(right[mask].mean() - confidence[mask].mean())
    return error


def test_a_known_case() -> None:
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])

    # in the bin of 0.9: one of two right; in those of 0.6 and 0.8: all right
    assert expected_calibration_error(scores, np.array([0, 1, 1, 1])) == pytest.approx((2 * 0.4 + 0.4 + 0.2) / 4)


def test_the_error_is_that_of_its_definition() -> None:
    scores = probabilities(LOGITS)

    error = expected_calibration_error(scores, LABELS)

    assert error == pytest.approx(by_definition(scores.max(axis=1), scores.argmax(axis=1) == LABELS))
    assert error == pytest.approx(0.5301439269179398)


def test_a_model_that_is_as_right_as_it_says_has_no_error() -> None:
    scores = np.tile([0.75, 0.25], (4, 1))

    assert expected_calibration_error(scores, np.array([0, 0, 0, 1])) == 0


@given(arrays.arrays(np.float64, st.integers(1, 50), elements=SCORES), st.data())
def test_bins_of_parts_add_up_exactly_in_any_order(confidence: np.ndarray, data: st.DataObject) -> None:
    right = data.draw(arrays.arrays(np.bool_, len(confidence)))
    cut = data.draw(st.integers(0, len(confidence)))

    whole = confidence_bins(confidence, right)

    first, second = (confidence_bins(confidence[part], right[part]) for part in (slice(cut), slice(cut, None)))
    assert added(first, second) == added(second, first) == whole
    assert added(whole, ()) == added((), whole) == whole
    assert 0 <= calibration_error(whole) <= 1
