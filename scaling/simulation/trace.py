"""A load trace, and random arrivals drawn from it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from scaling.simulation.steps import Steps

NORMAL_FROM = 50.0  # from this mean on a normal distribution is close enough, and its cost does not grow with the mean


@dataclass(frozen=True)
class Trace:
    """Requests per second over time: each rate holds from its start (the first is 0) until the next start."""

    name: str
    starts: Sequence[float]
    rates: Sequence[float]
    seconds: float

    @property
    def peak(self) -> float:
        return max(self.rates)

    def expected(self, step_s: float, steps: int) -> list[float]:
        """Return the mean number of requests in each step of `step_s` seconds."""
        ends = (*self.starts[1:], float("inf"))
        means, segment = [], 0
        for step in range(steps):
            at, until, mean = step * step_s, (step + 1) * step_s, 0.0
            while ends[segment] < until:
                mean += self.rates[segment] * (ends[segment] - at)
                at = ends[segment]
                segment += 1
            means.append(mean + self.rates[segment] * (until - at))
        return means


def arrivals(trace: Trace, steps: Steps, seed: int) -> Sequence[int]:
    """Draw the requests of each step from a Poisson process at the trace's rate; deterministic for a seed."""
    random = Random(seed)  # noqa: S311  not for cryptography
    return [poisson(random, mean) for mean in trace.expected(steps.seconds, steps.count)]


def poisson(random: Random, mean: float) -> int:
    """Draw a Poisson number by multiplication (Knuth, The Art of Computer Programming 2, 3.4.1), or from a normal
    distribution if the mean is large.
    """
    if mean >= NORMAL_FROM:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    count, product, limit = 0, random.random(), math.exp(-mean)
    while product > limit:
        count += 1
        product *= random.random()
    return count
