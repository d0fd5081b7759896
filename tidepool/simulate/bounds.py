"""The only place that finds out which bounds a pool should have."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from contract.pools import MOST_REPLICAS, ScalingPolicy
from tidepool.simulate.experiment import Experiment
from tidepool.simulate.outcome import Outcome
from tidepool.simulate.trace import Trace


@dataclass(frozen=True)
class WaitTarget:
    """A `share` of all requests shall wait for at most so many seconds."""

    seconds: float
    share: float

    def met_by(self, outcome: Outcome) -> bool:
        return outcome.wait_s(self.share) <= self.seconds


def most_useful(trace: Trace, service_s: float) -> int:
    """Twice the replicas that are busy at the peak of a trace and four more: beyond it no bound is tried."""
    return min(MOST_REPLICAS, math.ceil(2 * trace.peak * service_s) + 4)


def smallest_fixed(experiment: Experiment, target: WaitTarget, most: int) -> int | None:
    """The fewest replicas that meet the target if their number never changes; None where `most` do not."""
    if not target.met_by(experiment.fixed(most)):
        return None
    return _smallest(0, most, lambda count: target.met_by(experiment.fixed(count)))


def best_bounds(experiment: Experiment, policy: ScalingPolicy, target: WaitTarget, most: int) -> ScalingPolicy | None:
    """The policy with the smallest `min`, and for it the smallest `max`, that meet the target; None where none do.

    `min` is what costs while there is little load, `max` only caps what a peak may cost, so `min` goes first. Found by
    bisection, as if a larger bound never made waits longer; both of the bounds found were tried together.
    """

    def meets(low: int, high: int) -> bool:
        return target.met_by(experiment.run(_with(policy, low, high)))

    if not meets(most, most):
        return None
    low = _smallest(0, most, lambda count: meets(count, most))
    high = _smallest(low, most, lambda count: meets(low, count))
    return _with(policy, low, high)


def _with(policy: ScalingPolicy, low: int, high: int) -> ScalingPolicy:
    return policy.model_copy(update={"min": low, "max": high})


def _smallest(low: int, high: int, good: Callable[[int], bool]) -> int:
    """The smallest number from `low` to `high` that is good, where `high` is known to be."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return high
