"""The only place for what came of a simulated load."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Moment(NamedTuple):
    """A pool between two decisions."""

    at: float
    requests_per_second: float
    held: int
    oldest_s: float


@dataclass(frozen=True)
class Outcome:
    """Every request that arrived was served, runs, waits or was dropped: `arrived` is the sum of the four.

    `began` has the requests that were served or run by the steps of `step_s` seconds that they waited, `waiting` the
    others by the steps that they have waited so far.
    """

    arrived: int
    served: int
    running: int
    dropped: int
    began: Counter[int]
    waiting: Counter[int]
    step_s: float
    held_s: float
    moments: Sequence[Moment]

    @property
    def replica_hours(self) -> float:
        return self.held_s / 3600

    @property
    def mean_wait_s(self) -> float:
        """Of those that began."""
        return self.step_s * sum(steps * count for steps, count in self.began.items()) / max(1, self.began.total())

    def wait_s(self, share: float) -> float:
        """Seconds that a `share` of all requests waited at most; infinite where more than the rest were dropped."""
        if not self.arrived:
            return 0.0
        waits, left = self.began + self.waiting, share * self.arrived - 1e-9
        for steps in sorted(waits):
            left -= waits[steps]
            if left <= 0:
                return steps * self.step_s
        return math.inf

    def share_begun_within(self, seconds: float) -> float:
        """The share of all requests that began after at most so long."""
        in_time = sum(count for steps, count in self.began.items() if steps * self.step_s <= seconds)
        return in_time / self.arrived if self.arrived else 1.0
