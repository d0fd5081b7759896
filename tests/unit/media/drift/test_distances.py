"""Distances between histograms, and the chi-squared test."""

import math

import numpy as np
import pytest

from media.drift.distances import chi_squared_tail, divergence, divergence_by_chance, p_value

SHARES = np.array([0.4, 0.3, 0.2, 0.08, 0.02])


def sample(random: np.random.Generator, count: int) -> list[float]:
    counts: list[float] = random.multinomial(count, SHARES).tolist()
    return counts


def test_the_divergence_is_0_of_equal_shares_and_1_without_anything_in_common() -> None:
    assert divergence([1, 3], [10, 30]) == 0
    assert divergence([5, 0], [0, 2]) == 1


def test_the_divergence_is_that_of_the_definition() -> None:
    # the entropy of the mean, less the mean of the entropies: (1/2, 1/2) and (1, 0)
    mean = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25))

    assert divergence([1, 1], [7, 0]) == pytest.approx(mean - 0.5)
    assert divergence([7, 0], [1, 1]) == pytest.approx(mean - 0.5)


@pytest.mark.parametrize(("first", "second"), [(200, 200), (100, 1000)])
def test_samples_of_one_distribution_diverge_as_much_as_chance_says(first: int, second: int) -> None:
    random = np.random.default_rng(0)
    pairs = [(sample(random, first), sample(random, second)) for _ in range(400)]

    mean = np.mean([divergence(a, b) for a, b in pairs])

    assert mean == pytest.approx(divergence_by_chance(list(first * SHARES), list(second * SHARES)), rel=0.1)


@pytest.mark.parametrize(  # Abramowitz and Stegun, table 26.8
    ("statistic", "degrees", "tail"),
    [(3.84146, 1, 0.05), (5.99147, 2, 0.05), (16.9190, 9, 0.05), (29.5883, 10, 0.001), (149.449, 100, 0.001)],
)
def test_the_tail_of_chi_squared_is_that_of_the_table(statistic: float, degrees: int, tail: float) -> None:
    assert chi_squared_tail(statistic, degrees) == pytest.approx(tail, rel=1e-4)


def test_the_tail_is_a_probability_at_the_extremes() -> None:
    assert chi_squared_tail(0.0, 3) == 1
    assert chi_squared_tail(1e6, 3) == 0


def test_p_values_of_equal_distributions_are_spread_evenly() -> None:
    random = np.random.default_rng(1)

    values = [p_value(sample(random, 300), sample(random, 2000)) for _ in range(1000)]

    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_cells_with_few_counts_are_pooled() -> None:
    # a hundred classes with an image each show nothing, and would look conclusive one by one
    first, second = [1] * 100 + [0] * 100, [0] * 100 + [1] * 100

    assert p_value([3, 0], [0, 3]) == 1
    assert p_value([100, 0, 0, 0], [100, 1, 0, 0]) == 1
    assert p_value(first, second) < 0.001
    assert p_value([500, 20, 20], [500, 0, 0], ordered=False) < 1e-6
