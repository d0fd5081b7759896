"""Predictions from logits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from contract.inference import Failure, Scores
from contract.models import Output
from services.inference.engine.postprocess import best_with_margins, entropy, probabilities, softmax, top, top_scores

LABELS = ("cat", "dog", "owl", "fox")
FINITE = st.floats(-(2.0**126), 2.0**126, width=32)


def test_softmax_matches_its_definition() -> None:
    logits = np.array([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]], np.float32)

    powers = np.exp(logits.astype(np.float64))
    np.testing.assert_allclose(softmax(logits), powers / powers.sum(axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize("huge", [1e4, 3e38])
def test_huge_logits_do_not_overflow(huge: float) -> None:
    scores = softmax(np.array([[huge, huge, -huge]], np.float32))

    np.testing.assert_allclose(scores, [[0.5, 0.5, 0.0]])


@given(arrays.arrays(np.float32, (3, 5), elements=FINITE))
def test_scores_are_probabilities(logits: np.ndarray) -> None:
    scores = softmax(logits)

    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


def test_probabilities_are_scores_already() -> None:
    scores = np.array([[0.9939, 0.0061, 0.0]], np.float32)
    logits = np.log(np.maximum(scores, np.finfo(np.float32).tiny))

    np.testing.assert_allclose(probabilities(logits, "probabilities"), scores, rtol=1e-6, atol=1e-37)
    np.testing.assert_allclose(probabilities(scores, "logits"), softmax(scores))


def test_top_is_best_first() -> None:
    best = top(np.array([0.1, 0.4, 0.2, 0.3], np.float32), LABELS, 3)

    assert [label for label, _ in best] == ["dog", "fox", "owl"]
    assert [score for _, score in best] == pytest.approx([0.4, 0.3, 0.2])


def test_ties_keep_the_order_of_the_labels() -> None:
    labels = tuple(f"label-{index}" for index in range(60))

    best = top(np.array([0.2, 0.3] * 30, np.float32), labels, 60)

    assert [label for label, _ in best] == [*labels[1::2], *labels[::2]]


def test_a_count_above_the_number_of_classes_gives_all() -> None:
    assert len(top(np.full(4, 0.25, np.float32), LABELS, 1000)) == 4


@pytest.mark.parametrize("bad_logit", [np.nan, np.inf])
def test_a_bad_logit_makes_only_its_own_row_nan(bad_logit: float) -> None:
    scores = softmax(np.array([[0.0, bad_logit], [0.0, 0.0]], np.float32))

    assert np.isnan(scores[0]).all()
    np.testing.assert_allclose(scores[1], 0.5)


@pytest.mark.parametrize("output", ["logits", "probabilities"])
def test_the_best_class_of_each_row_is_the_first_of_all_classes(output: Output) -> None:
    logits = np.array([[0.5, -1.0, 2.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, np.nan, 0.0, 0.0]], np.float32)

    best, ranked = (top_scores(logits, LABELS, [count] * 3, output) for count in (1, 4))

    assert best[2] == ranked[2]
    assert isinstance(best[2], Failure)
    for one, all_ in zip(best[:2], ranked[:2], strict=True):
        assert isinstance(one, Scores)
        assert isinstance(all_, Scores)
        assert one.best == all_.best[:1]


@pytest.mark.parametrize("classes", [2, 64, 65, 1000])
def test_margin_and_entropy_match_their_definitions(classes: int) -> None:
    scores = softmax(np.random.default_rng(3).normal(scale=3, size=(7, classes)).astype(np.float32))

    ranked, exact = np.sort(scores, axis=1), scores.astype(np.float64)
    best, margins = best_with_margins(scores)
    np.testing.assert_array_equal(best, ranked[:, -1])
    np.testing.assert_array_equal(margins, ranked[:, -1] - ranked[:, -2])
    np.testing.assert_allclose([entropy(row) for row in scores], -(exact * np.log(exact)).sum(axis=1), rtol=1e-5)


@pytest.mark.parametrize("scores", [[1.0, 0.0, 0.0], [1.0]])
def test_a_certain_model_has_no_entropy_and_a_margin_of_one(scores: list[float]) -> None:
    row = np.array(scores, np.float32)

    assert (best_with_margins(row[np.newaxis])[1].tolist(), entropy(row)) == ([1.0], 0.0)


@pytest.mark.parametrize("count", [1, 3])
def test_the_margin_does_not_depend_on_how_many_classes_were_asked_for(count: int) -> None:
    logits = np.log(np.array([[0.5, 0.3, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]], np.float32))

    first, second = top_scores(logits, LABELS, [count, 1])

    assert isinstance(first, Scores)
    assert isinstance(second, Scores)
    assert first.margin == pytest.approx(0.2)
    assert second.margin == pytest.approx(0, abs=1e-6)
