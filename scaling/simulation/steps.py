"""Divide simulated time into steps."""

import math
from dataclasses import dataclass
from typing import Self

from scaling.policy import DECIDE_S

MAX_STEPS = 200_000


@dataclass(frozen=True)
class Steps:
    """Steps of equal length; a replica begins `requests_per_step` requests at once and needs `steps_per_request` steps.

    Both are 1 if possible, which makes an M/D/c queue exact: see docs/simulate.md.
    """

    seconds: float
    count: int
    requests_per_step: int
    steps_per_request: int

    @classmethod
    def of(cls, trace_s: float, service_s: float, most: int = MAX_STEPS) -> Self:
        """Choose the length of a step: the duration of one request.

        A fraction of it if that is over `DECIDE_S`; a multiple if the trace would otherwise have over `most` steps.
        """
        finest = trace_s / most
        coarsest = max(DECIDE_S, finest)
        steps_per_request = math.ceil(service_s / coarsest)
        requests_per_step = math.ceil(finest / service_s)
        seconds = service_s * requests_per_step / steps_per_request
        return cls(seconds, max(1, math.ceil(trace_s / seconds - 1e-9)), requests_per_step, steps_per_request)

    @property
    def steps_per_decision(self) -> int:
        return max(1, round(DECIDE_S / self.seconds))

    def count_in(self, seconds: float) -> int:
        """Return the fewest steps that last at least `seconds`."""
        return math.ceil(seconds / self.seconds - 1e-9)
