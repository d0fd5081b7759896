"""The result of serving a simulated load."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Moment(NamedTuple):
    """The state of a pool between two decisions."""

    at: float
    requests_per_second: float
    held: int
    oldest_s: float


@dataclass(frozen=True)
class Outcome:
    """`arrived` is the sum of the requests served, running, waiting and dropped.

    `began` counts the served and running requests by the steps of `step_s` seconds that they waited, `waiting` the
    waiting ones by the steps so far. `held_s` is the replica-seconds paid for.
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
        """The mean wait of the requests that began."""
        return self.step_s * sum(steps * count for steps, count in self.began.items()) / max(1, self.began.total())

    def wait_s(self, share: float) -> float:
        """Return the quantile `share` of the waits; infinite if too many requests were dropped to reach it."""
        if not self.arrived:
            return 0.0
        waits, left = self.began + self.waiting, share * self.arrived - 1e-9
        for steps in sorted(waits):
            left -= waits[steps]
            if left <= 0:
                return steps * self.step_s
        return math.inf

    def share_begun_within(self, seconds: float) -> float:
        """Return the share of all requests that began within `seconds`."""
        in_time = sum(count for steps, count in self.began.items() if steps * self.step_s <= seconds)
        return in_time / self.arrived if self.arrived else 1.0
