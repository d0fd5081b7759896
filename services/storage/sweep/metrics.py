"""Prometheus metrics of the storage process."""

from prometheus_client import Counter, Gauge

from services.storage.pools.pools import Pools
from services.storage.sweep.reconciler import Reconciler, Repairs

REPAIRED = Counter("tidepool_repairs_total", "Jobs that the reconciler repaired.", ["repair"])
RELAYED = Counter("tidepool_wakeups_sent_total", "Wake-up messages sent from the outbox.")
COLLECTED = Counter("tidepool_collected_objects_total", "Unreferenced objects that were deleted.")
DELAYED = Counter(
    "tidepool_sweep_delays_total", "Passes of the storage process that an outage of another server delayed.", ["code"]
)
QUEUED = Gauge("tidepool_queued_jobs", "Due jobs, and parts of jobs, that wait for a pool.", ["pool"])
RUNNING = Gauge("tidepool_running_jobs", "Jobs, and parts of jobs, that a pool runs.", ["pool"])
DRIFT = Gauge(
    "tidepool_drift_alarm",
    "Set to 1 for an alias whose requests differ from the validation images of its versions.",
    ["model", "alias"],
)
OLDEST = Gauge("tidepool_oldest_queued_seconds", "How long the oldest due job has been waiting.", ["pool", "kind"])


def count_repairs(repairs: Repairs) -> None:
    for repair, count in vars(repairs).items():
        REPAIRED.labels(repair).inc(count)


def show_queues(reconciler: Reconciler, pools: Pools) -> None:
    """Set the metrics of the queues; raises DatabaseUnavailable."""
    for kind, seconds in reconciler.oldest_queued_seconds().items():
        OLDEST.labels(kind.pool, kind).set(seconds)
    for pool, queue in pools.queues().items():
        QUEUED.labels(pool).set(queue.waiting or 0)
        RUNNING.labels(pool).set(queue.running or 0)
