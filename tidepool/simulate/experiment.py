"""The only place that runs a scaling policy on simulated replicas."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from contract.pools import ScalingPolicy
from services.autoscaler.policy import decide
from services.autoscaler.policy_state import PolicyState
from tidepool.simulate.arrivals import arrivals
from tidepool.simulate.gauge import Gauge, Seen
from tidepool.simulate.line import Line
from tidepool.simulate.outcome import Moment, Outcome
from tidepool.simulate.replicas import Replicas
from tidepool.simulate.steps import Steps
from tidepool.simulate.trace import Trace


@dataclass(frozen=True)
class Serving:
    """How long a replica takes for one request and to start, in seconds, and when a request is given up.

    Of `jobs`, each that runs holds a lease, which keeps its replica.
    """

    service_s: float
    startup_s: float
    deadline_s: float | None = None
    jobs: bool = False


@dataclass(frozen=True)
class Experiment:
    """A load that can be served under one policy after another, the same requests each time."""

    serving: Serving
    steps: Steps
    arrived: Sequence[int]

    @classmethod
    def of(cls, trace: Trace, serving: Serving, seed: int) -> Self:
        """Draw the requests of a trace."""
        steps = Steps.of(trace.seconds, serving.service_s)
        return cls(serving, steps, arrivals(trace, steps, seed))

    def fixed(self, replicas: int) -> Outcome:
        """Serve with always as many replicas."""
        return self.run(ScalingPolicy(min=replicas, max=replicas))

    def run(self, policy: ScalingPolicy) -> Outcome:
        """Serve while the autoscaler decides every `DECIDE_S`; at first the policy's `min` replicas are ready."""
        steps, serving = self.steps, self.serving
        line = Line(None if serving.deadline_s is None else math.floor(serving.deadline_s / steps.seconds))
        replicas = Replicas(policy.min, steps, serving.startup_s)
        gauge = Gauge(steps.a_decision * steps.seconds)
        memory = PolicyState.initial(policy.min, 0.0)
        held_steps, step, moments = 0, -1, []
        for start in range(0, steps.count, steps.a_decision):
            arrived = busy = seats = 0
            held = replicas.held
            chunk = self.arrived[start : start + steps.a_decision]
            for step, came in enumerate(chunk, start):
                room = replicas.pass_step(step)
                replicas.begin(line.pass_step(step, came, room))
                arrived += came
                busy += replicas.running
                seats += replicas.seats
            held_steps += held * len(chunk)
            now, oldest_s = (step + 1) * steps.seconds, line.oldest(step) * steps.seconds
            moments.append(Moment(now, arrived / (len(chunk) * steps.seconds), held, oldest_s))
            measured = gauge.read(
                Seen(arrived, busy, seats),
                at=now,
                ready=replicas.ready,
                waiting=line.length,
                leases=replicas.running if serving.jobs else 0,
                oldest_s=oldest_s,
            )
            decision, memory = decide(measured, policy, memory, now)
            replicas.follow(decision.replicas, step)
        return Outcome(
            arrived=sum(self.arrived),
            served=line.began.total() - replicas.running,
            running=replicas.running,
            dropped=line.dropped,
            began=line.began,
            waiting=line.ages(step),
            step_s=steps.seconds,
            held_s=held_steps * steps.seconds,
            moments=moments,
        )
