"""The only place that says what a load trace is."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """Requests a second over time: each rate holds from its second, the first of which is 0, until the next."""

    name: str
    starts: Sequence[float]
    rates: Sequence[float]
    seconds: float

    @property
    def peak(self) -> float:
        return max(self.rates)

    def expected(self, step_s: float, steps: int) -> list[float]:
        """The mean number of requests in each step of `step_s` seconds."""
        ends = (*self.starts[1:], float("inf"))
        found, segment = [], 0
        for step in range(steps):
            at, until, mean = step * step_s, (step + 1) * step_s, 0.0
            while ends[segment] < until:
                mean += self.rates[segment] * (ends[segment] - at)
                at = ends[segment]
                segment += 1
            found.append(mean + self.rates[segment] * (until - at))
        return found
