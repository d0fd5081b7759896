"""Prometheus metrics of the autoscaler."""

from collections import Counter as Count
from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from contract.pools import PoolName
from contract.supervision import State
from services.autoscaler.drivers.driver import Replica

STATES = (State.STARTING, State.READY, State.DRAINING, State.STOPPED)

REPLICAS = Gauge("tidepool_pool_replicas", "Replicas of a pool, as its driver reports them.", ["pool", "state"])
DESIRED = Gauge("tidepool_pool_desired", "Desired replicas of a pool.", ["pool"])
DECISIONS = Counter("tidepool_scaling_decisions_total", "Changes of the desired count.", ["pool", "direction"])


def show_replicas(pool: PoolName, desired: int, replicas: Iterable[Replica]) -> None:
    DESIRED.labels(pool).set(desired)
    counts = Count(replica.state for replica in replicas)
    for state in STATES:
        REPLICAS.labels(pool, state).set(counts[state])


def count_decision(pool: PoolName, before: int, after: int) -> None:
    DECISIONS.labels(pool, "up" if after > before else "down").inc()
