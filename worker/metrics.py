"""Prometheus metrics of a replica and its attempts at jobs."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from contract.errors import Cancelled, Draining, JobFailed, WorkerLost
from messaging.busy import Busy
from services.storage.metrics import TAKEN_OVER

ATTEMPTS = Counter("tidepool_attempts_total", "Attempts at jobs, started.", ["kind"])
ENDED = Counter(
    "tidepool_attempts_ended_total",
    "Attempts at jobs that ended: `succeeded`, or the code of the error that ended them.",
    ["kind", "outcome"],
)
ATTEMPT_SECONDS = Histogram(
    "tidepool_attempt_seconds", "Wall time of an attempt.", ["kind"], buckets=(0.5, 1, 5, 15, 60, 300, 1800, 7200)
)
PROGRESS = Gauge("tidepool_attempt_progress_ratio", "Progress of the running attempt, from 0 to 1.", ["kind"])
CHECKPOINT_SECONDS = Histogram(
    "tidepool_checkpoint_seconds",
    "Time to store a checkpoint and to record it in the job.",
    ["kind"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60),
)
CHECKPOINT_BYTES = Counter("tidepool_checkpoint_bytes_total", "Bytes of the checkpoints that were stored.", ["kind"])
BUSY_SECONDS = Counter(
    "tidepool_replica_busy_seconds_total",
    "Seconds in which a replica worked: on batches of predictions (`online`) or on a job (`jobs`).",
    ["pool", "work"],
)

GPU_BUSY = Gauge(
    "tidepool_replica_gpu_busy_ratio",
    "Share of the last ten seconds in which the GPU of the replica ran a kernel, also of other processes.",
    ["gpu"],
)

SUCCEEDED = "succeeded"
USUAL = (SUCCEEDED, Cancelled.code, Draining.code, JobFailed.code, WorkerLost.code)


def expect(kinds: Iterable[str]) -> None:
    """Begin the counts of these kinds at 0; Prometheus does not see the first increase of a series that is new."""
    for kind in kinds:
        ATTEMPTS.labels(kind)
        TAKEN_OVER.labels(kind)
        for outcome in USUAL:
            ENDED.labels(kind, outcome)


def busy_reader(pool: str, uses: Mapping[str, Busy]) -> Callable[[], None]:
    """Return a function that counts the seconds of each use up to now."""
    counted = dict.fromkeys(uses, 0.0)

    def read() -> None:
        for work, busy in uses.items():
            total = busy.total()
            BUSY_SECONDS.labels(pool, work).inc(total - counted[work])
            counted[work] = total

    return read
