"""Prometheus metrics of the autoscaler."""

from collections import Counter as Count
from collections.abc import Iterable
from math import nan

from prometheus_client import Counter, Gauge

from contract.pools import POOL_NAMES, Measured, PoolName
from contract.supervision import State
from services.autoscaler.drivers.driver import Replica

STATES = (State.STARTING, State.READY, State.DRAINING, State.STOPPED)

REPLICAS = Gauge("tidepool_pool_replicas", "Replicas of a pool, as its driver reports them.", ["pool", "state"])
DESIRED = Gauge("tidepool_pool_desired_replicas", "Desired replicas of a pool.", ["pool"])
READY = Gauge(
    "tidepool_pool_ready_replicas", "Replicas of a pool that report and do not drain; NaN without Redis.", ["pool"]
)
DRAINING = Gauge("tidepool_pool_draining_replicas", "Replicas of a pool that finish their work, then stop.", ["pool"])
BUSY = Gauge(
    "tidepool_pool_busy_ratio",
    "Share of the last seconds in which the ready replicas of a pool worked, or their GPUs; NaN if it is unknown.",
    ["pool"],
)
DECISIONS = Counter("tidepool_scaling_decisions_total", "Changes of the desired count.", ["pool", "direction"])
for _pool in POOL_NAMES:  # Prometheus does not see the first increase of a series that is new
    for _direction in ("up", "down"):
        DECISIONS.labels(_pool, _direction)


def show_replicas(pool: PoolName, desired: int, replicas: Iterable[Replica]) -> None:
    DESIRED.labels(pool).set(desired)
    counts = Count(replica.state for replica in replicas)
    for state in STATES:
        REPLICAS.labels(pool, state).set(counts[state])


def show_measured(pool: PoolName, measured: Measured) -> None:
    READY.labels(pool).set(nan if measured.ready is None else measured.ready)
    DRAINING.labels(pool).set(nan if measured.draining is None else measured.draining)
    BUSY.labels(pool).set(nan if measured.busy is None else measured.busy)


def count_decision(pool: PoolName, before: int, after: int) -> None:
    DECISIONS.labels(pool, "up" if after > before else "down").inc()
