"""The only place that draws random numbers: how many requests come in each step."""

import math
from collections.abc import Sequence
from random import Random

from tidepool.simulate.steps import Steps
from tidepool.simulate.trace import Trace

LARGE = 50.0  # from here on a normal distribution is close enough, and costs the same at any size


def arrivals(trace: Trace, steps: Steps, seed: int) -> Sequence[int]:
    """Requests of each step, a Poisson process at the trace's rate; the same for the same seed."""
    random = Random(seed)  # noqa: S311  a simulation is no secret
    return [poisson(random, mean) for mean in trace.expected(steps.seconds, steps.count)]


def poisson(random: Random, mean: float) -> int:
    """A Poisson number: by multiplication (Knuth, The Art of Computer Programming 2, 3.4.1), or by the normal law."""
    if mean >= LARGE:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, random.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= random.random()
    return count
