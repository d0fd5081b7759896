"""Run a scaling policy on simulated replicas."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from contract.pools import Measured, ScalingPolicy
from scaling.policy import decide
from scaling.policy_state import PolicyState
from scaling.simulation.outcome import Moment, Outcome
from scaling.simulation.replicas import Replicas
from scaling.simulation.steps import Steps
from scaling.simulation.trace import Trace, arrivals
from scaling.simulation.wait_queue import WaitQueue

MEASURED_OVER_S = 10.0


@dataclass(frozen=True)
class Serving:
    """A replica's seconds for one request and to start, and the seconds after which a waiting request is dropped.

    With `jobs`, each running job holds a lease, so its replica is not stopped by scale-in.
    """

    service_s: float
    startup_s: float
    deadline_s: float | None = None
    jobs: bool = False


class Interval(NamedTuple):
    """Sums over the steps since the last decision."""

    arrived: int = 0
    busy: int = 0
    seats: int = 0


class Meter:
    """Measures as in the autoscaler: utilization and request rate over the last `MEASURED_OVER_S` seconds."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._intervals: deque[Interval] = deque(maxlen=max(1, round(MEASURED_OVER_S / interval_s)))

    def read(
        self, interval: Interval, *, at: float, ready: int, waiting: int, leases: int, oldest_s: float
    ) -> Measured:
        """Add the interval that ends at the second `at`, and return the measurement then."""
        self._intervals.append(interval)
        arrived, busy, seats = (sum(column) for column in zip(*self._intervals, strict=True))
        return Measured(
            at=at,
            ready=ready,
            waiting=waiting,
            running=leases,
            oldest_s=oldest_s,
            busy=min(1.0, busy / seats) if seats else None,
            requests_per_minute=60 * arrived / (len(self._intervals) * self._interval_s),
        )


@dataclass(frozen=True)
class Experiment:
    """One set of requests, to be served under different policies."""

    serving: Serving
    steps: Steps
    arrived: Sequence[int]

    @classmethod
    def of(cls, trace: Trace, serving: Serving, seed: int) -> Self:
        """Draw the requests of a trace."""
        steps = Steps.of(trace.seconds, serving.service_s)
        return cls(serving, steps, arrivals(trace, steps, seed))

    def fixed(self, replicas: int) -> Outcome:
        """Serve with a fixed number of replicas."""
        return self.run(ScalingPolicy(min=replicas, max=replicas))

    def run(self, policy: ScalingPolicy) -> Outcome:
        """Serve with the autoscaler deciding every `DECIDE_S`; the policy's `min` replicas are ready at the start."""
        steps, serving = self.steps, self.serving
        queue = WaitQueue(None if serving.deadline_s is None else math.floor(serving.deadline_s / steps.seconds))
        replicas = Replicas(policy.min, steps, serving.startup_s)
        meter = Meter(steps.steps_per_decision * steps.seconds)
        state = PolicyState.initial(policy.min, 0.0)
        held_steps, step, moments = 0, -1, []
        for start in range(0, steps.count, steps.steps_per_decision):
            arrived = busy = seats = 0
            held = replicas.held
            chunk = self.arrived[start : start + steps.steps_per_decision]
            for step, requests in enumerate(chunk, start):
                room = replicas.pass_step(step)
                replicas.begin(queue.pass_step(step, requests, room))
                arrived += requests
                busy += replicas.running
                seats += replicas.seats
            held_steps += held * len(chunk)
            now, oldest_s = (step + 1) * steps.seconds, queue.oldest(step) * steps.seconds
            moments.append(Moment(now, arrived / (len(chunk) * steps.seconds), held, oldest_s))
            measured = meter.read(
                Interval(arrived, busy, seats),
                at=now,
                ready=replicas.ready,
                waiting=queue.length,
                leases=replicas.running if serving.jobs else 0,
                oldest_s=oldest_s,
            )
            decision, state = decide(measured, policy, state, now)
            replicas.follow(decision.replicas, step)
        return Outcome(
            arrived=sum(self.arrived),
            served=queue.began.total() - replicas.running,
            running=replicas.running,
            dropped=queue.dropped,
            began=queue.began,
            waiting=queue.ages(step),
            step_s=steps.seconds,
            held_s=held_steps * steps.seconds,
            moments=moments,
        )
