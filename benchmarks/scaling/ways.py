"""The ways to provision a pool that are compared, each measured and simulated on the same load."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from benchmarks.inference.wrk import Request
from benchmarks.scaling.load import Asked, ask, times
from benchmarks.scaling.watch import EVERY_S, Look, pool_of, watching
from contract.pools import ScalingPolicy
from tidepool.client import Client
from tidepool.simulate.experiment import Experiment, Serving
from tidepool.simulate.trace import Trace

SEED = 0
SHARES = (0.5, 0.95, 0.99)
AUTO = {"idle_s": 10.0, "quiet_s": 10.0, "backlog_per_replica": 16.0, "utilization": 0.7}


@dataclass(frozen=True)
class Figures:
    """Seconds to the answer for each of SHARES, requests without an answer in time, and what was paid for."""

    took_s: tuple[float, ...]
    requests: int
    failed: int
    replica_s: float

    @classmethod
    def measured(cls, asked: Sequence[Asked], looks: Sequence[Look]) -> Self:
        took = sorted(one.took_s for one in asked if one.status == HTTPStatus.OK)
        cuts = statistics.quantiles(took, n=100)
        failed = len(asked) - len(took)
        held = sum(max(look.ready or 0, look.desired) for look in looks) * EVERY_S
        return cls(tuple(cuts[round(share * 100) - 1] for share in SHARES), len(asked), failed, held)


@dataclass(frozen=True)
class Way:
    """A fixed number of replicas where `min` is `max`, else a pool that follows its load."""

    name: str
    min: int
    max: int

    def set(self, client: Client) -> None:
        """Return when the pool is ready for the load's first second."""
        if self.min == self.max:
            client.scale("inference", self.max)
        else:
            client.autoscale("inference", min=self.min, max=self.max, **AUTO)
        while pool_of(client).replicas.ready != self.min:
            time.sleep(EVERY_S)

    def measure(self, client: Client, request: Request, trace: Trace) -> tuple[Figures, list[Asked], list[Look]]:
        self.set(client)
        with watching(client) as looks:
            asked = ask(request, times(trace, SEED), trace.seconds)
        return Figures.measured(asked, looks), asked, looks

    def simulate(self, trace: Trace, serving: Serving) -> Figures:
        """What `tidepool simulate` says of the same load; a wait there ends when the request begins."""
        fields = {} if self.min == self.max else AUTO
        policy = ScalingPolicy(min=self.min, max=self.max, **fields)
        outcome = Experiment.of(trace, serving, SEED).run(policy)
        took = tuple(outcome.wait_s(share) + serving.service_s for share in SHARES)
        return Figures(took, outcome.arrived, outcome.dropped, outcome.held_s)
