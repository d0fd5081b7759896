"""What bounds of a pool would have done on traffic that it had: the policy on simulated replicas.

`python -m scaling.forecast` reads a ForecastRequest from its input and prints a Forecast, so that the seconds of
computing are those of another process.
"""

import math
import os
import sys
from collections.abc import Sequence

from pydantic import Field

from contract.base import Frozen, Whole
from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Experiment, Serving
from scaling.simulation.outcome import Moment, Outcome
from scaling.simulation.steps import Steps
from scaling.simulation.trace import Trace, arrivals

MOST_STEPS = 28_800  # 3 s each for a day
POINTS = 180
MINUTE_S = 60
SHARE = 0.95


class ForecastRequest(Frozen):
    """A pool's traffic and the bounds to try.

    `counts[i]` jobs arrived at second `starts[i]`, or requests within the minute that began then. `service_s` are the
    replica's seconds for each.
    """

    policy: ScalingPolicy
    starts: tuple[Whole, ...]
    counts: tuple[Whole, ...]
    seconds: Whole
    service_s: float = Field(gt=0)
    startup_s: float
    deadline_s: float | None
    jobs: bool


class Forecast(Frozen):
    """The chosen bounds beside a constant maximum; a wait is None if over 1 - SHARE of the requests were dropped.

    Waits are multiples of `step_s`. `replicas` are the most in each of POINTS equal times.
    """

    arrived: Whole
    dropped: Whole
    step_s: float
    wait_s: float | None
    static_wait_s: float | None
    replica_hours: float
    static_hours: float
    replicas: tuple[Whole, ...]
    arrivals: tuple[float, ...]

    @property
    def saved(self) -> float:
        """The share of a constant maximum's replica-hours that the bounds save; negative if they cost more."""
        return 1 - self.replica_hours / self.static_hours if self.static_hours else 0.0


def forecast(request: ForecastRequest) -> Forecast:
    """Serve the traffic with the policy, and with a constant maximum."""
    steps = Steps.of(request.seconds, request.service_s, MOST_STEPS)
    serving = Serving(request.service_s, request.startup_s, request.deadline_s, request.jobs)
    experiment = Experiment(serving, steps, _arrived(request, steps))
    chosen, static = experiment.run(request.policy), experiment.fixed(request.policy.max)
    spans = _spans(chosen.moments)
    return Forecast(
        arrived=chosen.arrived,
        dropped=chosen.dropped,
        step_s=steps.seconds,
        wait_s=_wait(chosen),
        static_wait_s=_wait(static),
        replica_hours=chosen.replica_hours,
        static_hours=static.replica_hours,
        replicas=tuple(max(moment.held for moment in span) for span in spans),
        arrivals=tuple(sum(moment.requests_per_second for moment in span) / len(span) for span in spans),
    )


def _arrived(request: ForecastRequest, steps: Steps) -> Sequence[int]:
    """Return the arrivals in each step: jobs when they were submitted, requests at random within their minute."""
    if request.jobs:
        counts = [0] * steps.count
        for start, count in zip(request.starts, request.counts, strict=True):
            counts[min(steps.count - 1, int(start / steps.seconds))] += count
        return counts
    starts = range(0, request.seconds, MINUTE_S)
    rates = [0.0] * len(starts)
    for start, count in zip(request.starts, request.counts, strict=True):
        rates[start // MINUTE_S] += count / MINUTE_S
    trace = Trace("own", starts, rates, request.seconds)
    return arrivals(trace, steps, seed=0)


def _wait(outcome: Outcome) -> float | None:
    wait = outcome.wait_s(SHARE)
    return None if wait == math.inf else wait


def _spans(moments: Sequence[Moment]) -> list[Sequence[Moment]]:
    size = math.ceil(len(moments) / POINTS)
    return [moments[start : start + size] for start in range(0, len(moments), size)]


if __name__ == "__main__":
    os.nice(10)
    print(forecast(ForecastRequest.model_validate_json(sys.stdin.read())).model_dump_json())
