"""Temperature scaling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.judging.temperature import MOST, fit_temperature, losses, probabilities, useful_temperature
from tests.unit.media.judging.data import LABELS, LOGITS


def sampled(count: int, sharpness: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits (count, 5) and labels from their softmax; multiply the logits by `sharpness`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 5))
    labels = np.array([rng.choice(5, p=row) for row in probabilities(logits)])
    return logits * sharpness, labels


def test_the_temperature_is_the_minimum_that_scipy_finds() -> None:
    # scipy.optimize.minimize_scalar over [1/16, 16] of the same cross-entropy, SciPy 1.17.1
    assert fit_temperature(LOGITS, LABELS) == pytest.approx(2.193034147918075, rel=1e-6)


@pytest.mark.parametrize("sharpness", [0.5, 1, 3])
def test_the_temperature_undoes_the_sharpness_of_logits(sharpness: float) -> None:
    assert fit_temperature(*sampled(8000, sharpness)) == pytest.approx(sharpness, rel=0.05)


def test_right_answers_alone_do_not_make_the_confidence_certain() -> None:
    logits, labels = np.tile([2.0, 0.0], (30, 1)), np.zeros(30, np.int64)

    scores = probabilities(logits, fit_temperature(logits, labels))

    assert scores[:, 0] == pytest.approx(31 / 32)  # (n + 1) / (n + 2)


@given(st.integers(0, 1000), st.sampled_from([1e-3, 0.3, 1.0, 5.0, 1e4]))
def test_the_temperature_stays_within_bounds(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)

    temperature = fit_temperature(rng.normal(0, scale, (20, 3)).astype(np.float32), rng.integers(0, 3, 20))

    assert 1 / MOST * 0.999 < temperature < MOST * 1.001


def test_losses_are_cross_entropies_and_finite_for_large_logits() -> None:
    assert losses(LOGITS, LABELS).mean() == pytest.approx(1.3283211673328448)  # log_loss, scikit-learn 1.9.1
    assert losses(np.array([[1e4, 0], [1e4, 0]]), np.array([0, 1])).tolist() == [0, 1e4]
    assert losses(LOGITS[:0], LABELS[:0]).tolist() == []


def test_rows_beyond_a_chunk_are_not_lost() -> None:
    logits, labels = sampled(9000, 1)

    assert len(losses(logits, labels)) == 9000
    assert losses(logits, labels)[8500] == pytest.approx(losses(logits[8500:8501], labels[8500:8501])[0])


def test_overconfident_logits_get_a_useful_temperature() -> None:
    temperature = useful_temperature(*sampled(400, 3))

    assert temperature is not None
    assert temperature == pytest.approx(3, rel=0.3)


@pytest.mark.parametrize("seed", range(5))
def test_honest_logits_keep_their_confidence(seed: int) -> None:
    assert useful_temperature(*sampled(400, 1, seed)) is None


def test_a_few_images_do_not_change_the_confidence() -> None:
    assert useful_temperature(*sampled(49, 5)) is None


def test_a_logit_of_minus_infinity_is_no_obstacle() -> None:
    logits = np.array([[0.0, -np.inf], [1.0, 0.0]] * 30)

    assert losses(logits, np.ones(60, np.int64)).max() == 1e6
    assert np.isfinite(fit_temperature(logits, np.zeros(60, np.int64)))
