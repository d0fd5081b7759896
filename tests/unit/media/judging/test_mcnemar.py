"""McNemar's test and its statement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.judging.mcnemar import mcnemar, statement

COUNTS = st.integers(0, 5000)


@pytest.mark.parametrize(
    ("better", "worse", "test", "p_value"),
    [  # statsmodels.stats.contingency_tables.mcnemar(exact=better + worse < 25), statsmodels 0.15.0
        (41, 12, "chi_squared", 0.00012001485901520004),
        (12, 41, "chi_squared", 0.00012001485901520004),
        (100, 60, "chi_squared", 0.002047732153668759),
        (25, 0, "chi_squared", 1.5866563039511885e-06),
        (13, 12, "chi_squared", 1.0),
        (13, 13, "chi_squared", 1.0),  # statsmodels gives 0.84: it lets the correction exceed the difference
        (24, 0, "exact", 1.1920928955078125e-07),
        (5, 1, "exact", 0.21875),
        (0, 6, "exact", 0.03125),
        (12, 12, "exact", 1.0),
        (0, 0, "exact", 1.0),
    ],
)
def test_the_p_value_is_that_of_statsmodels(better: int, worse: int, test: str, p_value: float) -> None:
    assert mcnemar(better, worse) == (test, pytest.approx(p_value, rel=1e-9))


@given(COUNTS, COUNTS)
def test_the_test_treats_both_models_alike(better: int, worse: int) -> None:
    result = mcnemar(better, worse)

    assert result == mcnemar(worse, better)
    assert 0 <= result.p_value <= 1


@pytest.mark.parametrize(
    ("better", "worse", "text"),
    [
        (
            41,
            12,
            "B is better than A on 41 images and worse on 12; chance alone would give such a difference in 0.01 % of"
            " cases, so B is the better one.",
        ),
        (
            0,
            6,
            "B is better than A on 0 images and worse on 6; chance alone would give such a difference in 3.1 % of"
            " cases, so A is the better one.",
        ),
        (
            1,
            3,
            "B is better than A on 1 image and worse on 3; chance alone would give such a difference in 62 % of"
            " cases, so these images do not show which of them is better.",
        ),
        (
            300,
            100,
            "B is better than A on 300 images and worse on 100; chance alone would give such a difference in less than"
            " 0.01 % of cases, so B is the better one.",
        ),
        (0, 0, "B and A are right and wrong on the same images, so neither is better."),
    ],
)
def test_the_statement_is_plain(better: int, worse: int, text: str) -> None:
    assert statement("B", "A", better, worse, mcnemar(better, worse).p_value) == text
