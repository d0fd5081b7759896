"""The only place that divides simulated time into steps."""

import math
from dataclasses import dataclass
from typing import Self

from services.autoscaler.policy import DECIDE_S

MOST_STEPS = 200_000


@dataclass(frozen=True)
class Steps:
    """Steps of equal length: a replica begins `a_step` requests in each and is busy for `a_request` steps with them.

    One step for one request where possible, which makes an M/D/c queue exact: see docs/simulate.md.
    """

    seconds: float
    count: int
    a_step: int
    a_request: int

    @classmethod
    def of(cls, trace_s: float, service_s: float, most: int = MOST_STEPS) -> Self:
        """As fine as a trace of `trace_s` seconds allows in `most` steps, as fine as a request or a decision needs."""
        finest = trace_s / most
        coarsest = max(DECIDE_S, finest)
        a_request = math.ceil(service_s / coarsest)
        a_step = math.ceil(finest / service_s)
        seconds = service_s * a_step / a_request
        return cls(seconds, max(1, math.ceil(trace_s / seconds - 1e-9)), a_step, a_request)

    @property
    def a_decision(self) -> int:
        return max(1, round(DECIDE_S / self.seconds))

    def spanning(self, seconds: float) -> int:
        """The fewest steps that take so long."""
        return math.ceil(seconds / self.seconds - 1e-9)
