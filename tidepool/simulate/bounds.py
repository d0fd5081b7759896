"""Search for the replica bounds that meet a wait target."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from contract.pools import MOST_REPLICAS, ScalingPolicy
from scaling.simulation.experiment import Experiment
from scaling.simulation.outcome import Outcome
from scaling.simulation.trace import Trace


@dataclass(frozen=True)
class WaitTarget:
    """At least a `share` of all requests must wait `seconds` at most."""

    seconds: float
    share: float

    def met_by(self, outcome: Outcome) -> bool:
        return outcome.wait_s(self.share) <= self.seconds


def most_useful(trace: Trace, service_s: float) -> int:
    """Return the largest bound to try: twice the replicas that are busy at the trace's peak, plus four."""
    return min(MOST_REPLICAS, math.ceil(2 * trace.peak * service_s) + 4)


def smallest_fixed(experiment: Experiment, target: WaitTarget, most: int) -> int | None:
    """Return the smallest fixed number of replicas that meets the target; None if `most` does not."""
    if not target.met_by(experiment.fixed(most)):
        return None
    return _smallest(0, most, lambda count: target.met_by(experiment.fixed(count)))


def best_bounds(experiment: Experiment, policy: ScalingPolicy, target: WaitTarget, most: int) -> ScalingPolicy | None:
    """Return the policy with the smallest `min`, then the smallest `max`, that meets the target; None if there is none.

    `min` comes first because it costs while there is little load; `max` only caps the cost of a peak. The bisection
    assumes that a larger bound never makes waits longer. The returned pair itself was simulated.
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
    """Return the smallest good number from `low` to `high`; `high` must be good."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return high
