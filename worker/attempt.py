"""One attempt at a job, in a child process: run the handler, then finish, fail or release the job under its fence."""

import errno
import gc
import os
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import structlog
from prometheus_client import Metric

from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.division import Division, Outcome, PartDone, Waiting
from contract.errors import (
    Cancelled,
    DatabaseUnavailable,
    Draining,
    Interrupted,
    JobFailed,
    LeaseLost,
    ObjectsUnavailable,
    Overtaken,
    Postponed,
    TidepoolError,
)
from contract.jobs import Progress
from contract.tracing import TraceContext, span
from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from messaging.tracing import relayed
from services.storage.jobs.children import ChildJob
from services.storage.jobs.claims import Claim
from services.storage.jobs.rows import Lease
from services.storage.objects import Artifacts
from services.storage.stores import Stores
from worker.attempt_metrics import snapshot
from worker.metrics import CHECKPOINT_BYTES, CHECKPOINT_SECONDS, PROGRESS, SUCCEEDED
from worker.retries import RetryingObjects, retry_outages
from worker.settings import WorkerSettings
from worker.task import Handler

if TYPE_CHECKING:
    from messaging.spans import FinishedSpan

BEAT_S = 5.0
POSTPONED_S = 60.0  # until a job that was postponed is due

log = structlog.get_logger()

# The fork server has imported the service's main module, which multiprocessing runs again in each attempt.
warnings.filterwarnings("ignore", "'.*' found in sys.modules", RuntimeWarning)


class StopEarly:
    """The message by which the worker process asks an attempt to end early, with the best result so far."""


@dataclass(frozen=True)
class Ended:
    """The last message of an attempt: how it ended, `succeeded` or an error's code, and its metrics."""

    outcome: str
    metrics: tuple[Metric, ...]


Message: TypeAlias = "Progress | Ended | FinishedSpan | tuple[Metric, ...]"
"""What an attempt sends to its worker process; metrics are also the heartbeat."""


class Attempt:
    """The `Task` passed to a handler; reports to the worker process through a pipe."""

    def __init__(self, claim: Claim, stores: Stores, folder: Path, pipe: Connection) -> None:
        self.job = claim.job
        self.folder = folder
        self.objects: Artifacts = RetryingObjects(stores.objects, self.check_stop)
        project = stores.of(claim.job.project)
        self.datasets = project.datasets
        self.models = project.models
        self.backbones = project.backbones
        self.uploads = project.uploads
        self.holdings = project.holdings
        self.reviews = project.reviews
        self.checkpoint = claim.checkpoint
        self.part = claim.part
        self.parts = claim.parts
        self._stop_early = claim.keep_best
        self._stop_reason: Interrupted | None = None
        self._lease = claim.lease
        self._leases = stores.leases
        self._children = stores.children
        self._seats = stores.seats
        self._store = stores.objects
        self._pipe = pipe
        self._lock = threading.Lock()
        self._shown_progress = PROGRESS.labels(claim.job.kind)

    def report(self, fraction: float, message: str) -> None:
        progress = Progress(fraction=min(max(fraction, 0.0), 1.0), message=message)
        self._shown_progress.set(progress.fraction)
        self.send(progress)
        self.check_stop()

    def log(self, message: str) -> None:
        retry_outages(lambda: self._leases.log(self._lease, message), self.check_stop)

    def children(self, parent: str | None = None) -> tuple[ChildJob, ...]:
        return retry_outages(lambda: self._children.of(parent or self.job.id), self.check_stop)

    def offer_seats(self, endpoint: str, generation: int, count: int) -> str:
        run_id = f"{self._lease.job_id}:{self._lease.fence}:{generation}"
        retry_outages(lambda: self._seats.offer(self._lease, endpoint, run_id, count), self.check_stop)
        return run_id

    def ready_seats(self) -> frozenset[str]:
        return retry_outages(lambda: self._seats.ready_workers(self._lease), self.check_stop)

    def contended(self) -> bool:
        return retry_outages(lambda: self._seats.contended(self._lease), self.check_stop)

    def withdraw_seats(self) -> None:
        try:
            self._seats.withdraw(self._lease)
        except DatabaseUnavailable:
            log.info("seats not withdrawn, they end with the lease")

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        self.check_stop()
        prefix = attempt_prefix(self._lease.job_id, self._lease.fence, self.job.project)
        # Not through `objects`, which does not retry the calls of a thread: rank 0 of a training is answered in one.
        return retry_outages(lambda: self._store.put(Bucket.JOBS, prefix + name, source), self.check_stop)

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        with CHECKPOINT_SECONDS.labels(self.job.kind).time():
            checkpoint = self.put(name, source)
            retry_outages(lambda: self._leases.save_checkpoint(self._lease, checkpoint, metrics), self.check_stop)
        CHECKPOINT_BYTES.labels(self.job.kind).inc(checkpoint.size)
        previous, self.checkpoint = self.checkpoint, checkpoint
        if previous is not None:
            self._delete(previous)

    def _delete(self, checkpoint: ObjectRef) -> None:
        try:
            self._store.delete(checkpoint.bucket, checkpoint.key)
        except ObjectsUnavailable:
            log.info("previous checkpoint not deleted, the object store does not answer")

    def send(self, message: Message) -> None:
        """Send a message to the worker process."""
        try:
            with self._lock:
                self._pipe.send(message)
        except OSError:
            os._exit(1)  # without its worker the lease is not renewed, and another replica will claim the job

    @property
    def stop_early(self) -> bool:
        self._read_requests()
        return self._stop_early

    def check_stop(self) -> None:
        """Raise Cancelled or Draining if the worker process has requested a stop."""
        self._read_requests()
        if self._stop_reason is not None:
            reason, self._stop_reason = self._stop_reason, None  # raised once: the handler may save a checkpoint then
            raise reason

    def _read_requests(self) -> None:
        while self._stop_reason is None and self._pipe.poll():
            match self._pipe.recv():
                case StopEarly():
                    self._stop_early = True
                case reason:
                    self._stop_reason = reason


class Origin(NamedTuple):
    """Where an attempt comes from: the name of its worker, and the attempt's span there if it is traced."""

    worker: str
    span: TraceContext | None = None


def log_ids(claim: Claim, origin: Origin) -> dict[str, Any]:
    """Return what each log line of an attempt has, in its own process and in its worker."""
    job = claim.job
    ids = {"job_id": job.id, "attempt": job.attempt, "fence": claim.lease.fence, "project": job.project}
    if claim.request_id is not None:
        ids["request_id"] = claim.request_id
    if claim.part is not None:
        ids["part_id"] = claim.lease.job_id
    if origin.span is not None:
        ids |= {"trace_id": origin.span.trace_id, "span_id": origin.span.span_id}
    return ids | {"replica": origin.worker}


def run_attempt(handler: Handler, claim: Claim, role: str, pipe: Connection, origin: Origin) -> None:
    """Entry point of the child process; catches everything that a handler raises."""
    gc.freeze()  # collections need not look at what the fork server has imported
    start_telemetry(role, TelemetrySettings(metrics_port=0))
    structlog.contextvars.bind_contextvars(**log_ids(claim, origin))
    stores = Stores.from_environment()
    with tempfile.TemporaryDirectory(prefix="attempt-", dir=WorkerSettings().scratch) as folder:
        attempt = Attempt(claim, stores, Path(folder), pipe)
        threading.Thread(target=_beat, args=[attempt], daemon=True).start()
        log.info("attempt started", kind=claim.job.kind)
        with relayed(origin.span, attempt.send):
            outcome = _run(handler, attempt, stores, claim.lease)
        attempt.send(Ended(outcome, snapshot()))


def _run(handler: Handler, attempt: Attempt, stores: Stores, lease: Lease) -> str:
    """Run the handler and write its outcome; return SUCCEEDED or the code of the error."""
    try:
        with span("handler"):
            outcome = handler(attempt)
        with span("publish"):
            conclude(stores, lease, outcome)
    except TidepoolError as error:
        settle(stores, lease, error)
        return error.code
    except Exception as error:
        log.exception("attempt failed", code=JobFailed.code)
        settle(stores, lease, JobFailed(f"{_reason(error)}; see the worker's log for details"))
        return JobFailed.code
    return SUCCEEDED


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk of the worker is full; free space in the folder TIDEPOOL_SCRATCH, or send less data"
    return "the worker ran out of memory" if isinstance(error, MemoryError) else "an internal error"


def conclude(stores: Stores, lease: Lease, outcome: Outcome) -> None:
    """Write a handler's outcome to the database; if this raises LeaseLost or Cancelled, nothing was written."""
    match outcome:
        case Division():
            retry_outages(lambda: stores.parts.divide(lease, outcome))
        case Waiting():
            retry_outages(lambda: stores.children.wait(lease, outcome))
        case PartDone():
            retry_outages(lambda: stores.parts.finish(lease, outcome))
        case _:
            retry_outages(lambda: stores.leases.finish(lease, outcome))
    log.info("attempt succeeded")


def settle(stores: Stores, lease: Lease, error: TidepoolError) -> None:
    """Record the end of an attempt that did not succeed; an outage or a lost lease is logged, not raised."""
    changes: dict[type[TidepoolError], Callable[[], object]] = {
        Cancelled: lambda: stores.leases.cancelled(lease),
        Draining: lambda: stores.leases.release(lease),
        Overtaken: lambda: stores.leases.release(lease),
        Postponed: lambda: stores.leases.release(lease, POSTPONED_S),
        LeaseLost: lambda: None,
    }
    log.warning("attempt stopped", code=error.code, exc_info=error)
    try:
        retry_outages(changes.get(type(error), lambda: stores.leases.fail(lease, error)))
    except LeaseLost:
        log.warning("outcome discarded, another attempt holds the job")
    except DatabaseUnavailable:
        log.warning("outcome not written, the lease will expire")


def _beat(attempt: Attempt) -> None:
    while True:
        attempt.send(snapshot())
        time.sleep(BEAT_S)
