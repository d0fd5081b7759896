import statistics
from random import Random

import pytest

from tidepool.simulate.arrivals import LARGE, arrivals, poisson
from tidepool.simulate.steps import Steps
from tidepool.simulate.trace import Trace

TRACE = Trace("flat", (0,), (40,), 100)
STEPS = Steps(seconds=0.1, count=1000, a_step=1, a_request=1)


@pytest.mark.parametrize("mean", [0.05, 3.0, LARGE - 1, LARGE + 1, 4000.0])
def test_mean_and_variance_are_the_same(mean: float) -> None:
    random = Random(1)
    drawn = [poisson(random, mean) for _ in range(20_000)]
    assert statistics.fmean(drawn) == pytest.approx(mean, rel=0.05)
    assert statistics.variance(drawn) == pytest.approx(mean, rel=0.06)


def test_nothing_comes_at_no_rate() -> None:
    assert {poisson(Random(seed), 0.0) for seed in range(100)} == {0}


def test_a_seed_is_a_load() -> None:
    assert arrivals(TRACE, STEPS, seed=7) == arrivals(TRACE, STEPS, seed=7)
    assert arrivals(TRACE, STEPS, seed=7) != arrivals(TRACE, STEPS, seed=8)
    assert sum(arrivals(TRACE, STEPS, seed=7)) == pytest.approx(4000, rel=0.05)
