"""Ways to provision a pool, each measured and simulated on the same load."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from benchmarks.inference.wrk import Request
from benchmarks.scaling.load import TimedRequest, arrival_times, send_all
from benchmarks.scaling.watch import SAMPLE_INTERVAL_S, PoolSample, pool_of, watching
from contract.pools import ScalingPolicy
from scaling.simulation.experiment import Experiment, Serving
from scaling.simulation.trace import Trace
from tidepool_client import Client

SEED = 0
SHARES = (0.5, 0.95, 0.99)
AUTO = {"idle_s": 10.0, "quiet_s": 10.0, "backlog_per_replica": 16.0, "utilization": 0.7}


@dataclass(frozen=True)
class Figures:
    """Seconds to the response at each of SHARES, the requests without a timely response, and the replica-seconds."""

    took_s: tuple[float, ...]
    requests: int
    failed: int
    replica_s: float

    @classmethod
    def measured(cls, requests: Sequence[TimedRequest], samples: Sequence[PoolSample]) -> Self:
        took = sorted(request.took_s for request in requests if request.status == HTTPStatus.OK)
        cuts = statistics.quantiles(took, n=100)
        failed = len(requests) - len(took)
        held = sum(max(sample.ready or 0, sample.desired) for sample in samples) * SAMPLE_INTERVAL_S
        return cls(tuple(cuts[round(share * 100) - 1] for share in SHARES), len(requests), failed, held)


@dataclass(frozen=True)
class Provisioning:
    """A fixed number of replicas if `min` equals `max`, otherwise an autoscaled pool."""

    name: str
    min: int
    max: int

    def apply(self, client: Client) -> None:
        """Configure the pool and wait until it has `min` ready replicas."""
        if self.min == self.max:
            client.pools.scale("inference", self.max)
        else:
            client.pools.autoscale("inference", min=self.min, max=self.max, **AUTO)
        while pool_of(client).replicas.ready != self.min:
            time.sleep(SAMPLE_INTERVAL_S)

    def measure(
        self, client: Client, request: Request, trace: Trace
    ) -> tuple[Figures, list[TimedRequest], list[PoolSample]]:
        self.apply(client)
        with watching(client) as samples:
            requests = send_all(request, arrival_times(trace, SEED), trace.seconds)
        return Figures.measured(requests, samples), requests, samples

    def simulate(self, trace: Trace, serving: Serving) -> Figures:
        """Simulate the same load; adds the service time, because a simulated wait ends when the request begins."""
        fields = {} if self.min == self.max else AUTO
        policy = ScalingPolicy(min=self.min, max=self.max, **fields)
        outcome = Experiment.of(trace, serving, SEED).run(policy)
        took = tuple(outcome.wait_s(share) + serving.service_s for share in SHARES)
        return Figures(took, outcome.arrived, outcome.dropped, outcome.held_s)
