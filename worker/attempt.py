"""One attempt at a job, in a process of its own: run the handler, then finish, fail or give back under the fence."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.division import Division, PartDone
from contract.errors import (
    Cancelled,
    DatabaseUnavailable,
    Draining,
    JobFailed,
    LeaseLost,
    ObjectsUnavailable,
    TidepoolError,
)
from contract.jobs import Progress
from messaging.settings import TelemetrySettings, WorkerSettings
from messaging.telemetry import start_telemetry
from services.storage.jobs.claims import Claim
from services.storage.jobs.rows import Lease
from services.storage.objects import Artifacts
from services.storage.stores import Stores
from worker.retries import RetryingObjects, retry_outages
from worker.task import Handler, Outcome

BEAT_S = 5.0

log = structlog.get_logger()


class Attempt:
    """The `Task` that a handler is given; it reports to the worker through a pipe."""

    def __init__(self, claim: Claim, stores: Stores, folder: Path, pipe: Connection) -> None:
        self.job = claim.job
        self.folder = folder
        self.objects: Artifacts = RetryingObjects(stores.objects, self.obey)
        self.datasets = stores.of(DEFAULT_PROJECT).datasets
        self.models = stores.of(DEFAULT_PROJECT).models
        self.uploads = stores.of(DEFAULT_PROJECT).uploads
        self.checkpoint = claim.checkpoint
        self.part = claim.part
        self.parts = claim.parts
        self._lease = claim.lease
        self._leases = stores.leases
        self._store = stores.objects
        self._pipe = pipe
        self._lock = threading.Lock()

    def report(self, fraction: float, message: str) -> None:
        self.send(Progress(fraction=min(max(fraction, 0.0), 1.0), message=message))
        self.obey()

    def log(self, message: str) -> None:
        retry_outages(lambda: self._leases.log(self._lease, message), self.obey)

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        self.obey()
        return self.objects.put(Bucket.JOBS, attempt_prefix(self._lease.job_id, self._lease.fence) + name, source)

    def save_checkpoint(self, name: str, source: Path | bytes, metrics: dict[str, Any] | None = None) -> None:
        checkpoint = self.put(name, source)
        retry_outages(lambda: self._leases.save_checkpoint(self._lease, checkpoint, metrics), self.obey)
        before, self.checkpoint = self.checkpoint, checkpoint
        if before is not None:
            self._forget(before)

    def _forget(self, checkpoint: ObjectRef) -> None:
        try:
            self._store.delete(checkpoint.bucket, checkpoint.key)
        except ObjectsUnavailable:
            log.info("a checkpoint that nobody needs stays, the object store does not answer")

    def send(self, message: Progress | None) -> None:
        """Tell the worker how far the attempt is, or by None that it is alive."""
        try:
            with self._lock:
                self._pipe.send(message)
        except OSError:
            os._exit(1)  # the worker is gone: nobody renews the lease, so somebody else will run the job

    def obey(self) -> None:
        """Raise what the worker asked this attempt to stop with."""
        if self._pipe.poll():
            raise self._pipe.recv()


def run_attempt(handler: Handler, claim: Claim, role: str, pipe: Connection) -> None:
    """The child process's entry; the only try/except around a handler."""
    start_telemetry(role, TelemetrySettings(metrics_port=0))
    structlog.contextvars.bind_contextvars(job_id=claim.job.id, attempt=claim.job.attempt)
    stores = Stores.from_environment()
    with tempfile.TemporaryDirectory(prefix="attempt-", dir=WorkerSettings().scratch) as folder:
        attempt = Attempt(claim, stores, Path(folder), pipe)
        threading.Thread(target=_beat, args=[attempt], daemon=True).start()
        log.info("attempt started", kind=claim.job.kind)
        try:
            conclude(stores, claim.lease, handler(attempt))
        except TidepoolError as error:
            settle(stores, claim.lease, error)
        except Exception as error:
            log.exception("attempt failed", code=JobFailed.code)
            reason = "the worker ran out of memory" if isinstance(error, MemoryError) else "an internal error"
            settle(stores, claim.lease, JobFailed(f"{reason}; the worker's log has the details"))


def conclude(stores: Stores, lease: Lease, outcome: Outcome) -> None:
    """Make what a handler returned true; raises LeaseLost or Cancelled, and then nothing is."""
    match outcome:
        case Division():
            retry_outages(lambda: stores.parts.divide(lease, outcome))
        case PartDone():
            retry_outages(lambda: stores.parts.finish(lease, outcome))
        case _:
            retry_outages(lambda: stores.leases.finish(lease, outcome))
    log.info("attempt succeeded")


def settle(stores: Stores, lease: Lease, error: TidepoolError) -> None:
    """Write how an attempt ended without success."""
    changes: dict[type[TidepoolError], Callable[[], object]] = {
        Cancelled: lambda: stores.leases.cancelled(lease),
        Draining: lambda: stores.leases.release(lease),
        LeaseLost: lambda: None,
    }
    log.warning("attempt stopped", code=error.code, exc_info=error)
    try:
        retry_outages(changes.get(type(error), lambda: stores.leases.fail(lease, error)))
    except LeaseLost:
        log.warning("outcome discarded, the job belongs to another attempt now")
    except DatabaseUnavailable:
        log.warning("outcome not written, the lease will run out")


def _beat(attempt: Attempt) -> None:
    while True:
        attempt.send(None)
        time.sleep(BEAT_S)
