import statistics
from random import Random

import pytest

from scaling.simulation.steps import Steps
from scaling.simulation.trace import NORMAL_FROM, Trace, arrivals, poisson

TRACE = Trace("steps", starts=(0, 1.5, 4), rates=(2, 10, 0), seconds=5)
FLAT = Trace("flat", (0,), (40,), 100)
STEPS = Steps(seconds=0.1, count=1000, requests_per_step=1, steps_per_request=1)


def test_the_expected_requests_of_each_step() -> None:
    assert TRACE.expected(1.0, 5) == [2, 6, 10, 10, 0]


@pytest.mark.parametrize(("step_s", "steps"), [(0.25, 20), (0.3, 17), (2.0, 3), (5.0, 1)])
def test_no_request_is_lost_between_steps(step_s: float, steps: int) -> None:
    assert sum(TRACE.expected(step_s, steps)) == pytest.approx(2 * 1.5 + 10 * 2.5)


def test_the_peak_is_the_highest_rate() -> None:
    assert TRACE.peak == 10


@pytest.mark.parametrize("mean", [0.05, 3.0, NORMAL_FROM - 1, NORMAL_FROM + 1, 4000.0])
def test_a_poisson_number_has_equal_mean_and_variance(mean: float) -> None:
    random = Random(1)
    drawn = [poisson(random, mean) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.05)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.06)


def test_a_rate_of_zero_has_no_arrivals() -> None:
    assert {poisson(Random(seed), 0.0) for seed in range(100)} == {0}


def test_arrivals_are_deterministic_for_a_seed() -> None:
    assert arrivals(FLAT, STEPS, seed=7) == arrivals(FLAT, STEPS, seed=7)
    assert arrivals(FLAT, STEPS, seed=7) != arrivals(FLAT, STEPS, seed=8)
    assert sum(arrivals(FLAT, STEPS, seed=7)) == pytest.approx(4000, rel=0.05)
