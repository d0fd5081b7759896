"""One-sided tests between two models on the same images."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from media.judging.mcnemar import mcnemar
from media.judging.paired import at_least, chance_of, chance_of_margin, images_to_show

COUNTS = st.integers(0, 300)


@pytest.mark.parametrize(("better", "worse"), [(5, 1), (0, 6), (12, 12), (24, 0), (0, 0), (9, 14)])
def test_the_chance_is_half_of_the_two_sided_test_for_the_better_model(better: int, worse: int) -> None:
    two_sided = mcnemar(max(better, worse), min(better, worse)).p_value

    assert chance_of(max(better, worse), min(better, worse)) == pytest.approx(
        two_sided / 2 if better != worse else 0.5 + math.comb(better + worse, better) / 2 ** (better + worse + 1)
    )


def test_the_limits_are_those_of_tangos_interval() -> None:
    # PropCIs::scoreci.mp(25, 28, 618, conf.level = 0.9), PropCIs 0.3-0: -0.0148 to 0.0247
    assert at_least(28, 25, 618, 0.95) == pytest.approx(-0.0148, abs=5e-5)
    assert -at_least(25, 28, 618, 0.95) == pytest.approx(0.0247, abs=5e-5)


@given(COUNTS, COUNTS, COUNTS, st.floats(0.55, 0.999))
def test_at_the_limit_the_chance_is_what_the_confidence_allows(
    better: int, worse: int, others: int, confidence: float
) -> None:
    assume(better + worse)
    count = better + worse + others
    limit = at_least(better, worse, count, confidence)
    assume(-0.999 < limit < 0.999)

    assert limit <= (better - worse) / count
    assert chance_of_margin(better, worse, count, limit) == pytest.approx(1 - confidence, abs=1e-5)


@given(COUNTS, COUNTS)
def test_chances_are_shares(better: int, worse: int) -> None:
    assert 0 <= chance_of(better, worse) <= 1
    assert 0 <= chance_of_margin(better, worse, better + worse + 1, 0.01) <= 1


def test_two_models_without_a_difference_show_nothing() -> None:
    assert chance_of(0, 0) == 1
    assert at_least(0, 0, 50, 0.95) < 0
    assert images_to_show(0, 0, 50, 0.0, 0.95) is None


def test_as_many_images_as_estimated_show_the_difference() -> None:
    needed = images_to_show(12, 4, 200, 0.005, 0.95)

    assert needed is not None
    scale = needed / 200
    assert at_least(round(12 * scale), round(4 * scale), needed, 0.95) == pytest.approx(0.005, abs=0.002)
