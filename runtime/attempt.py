"""One attempt at a job, in a process of its own: run the handler, then finish, fail or give back under the fence."""

import os
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from contract.artifacts import Bucket, ObjectRef, attempt_prefix
from contract.errors import Cancelled, DatabaseUnavailable, Draining, JobFailed, LeaseLost, TidepoolError
from contract.jobs import Progress
from runtime.settings import TelemetrySettings, WorkerSettings
from runtime.stores import Stores
from runtime.task import Handler
from runtime.telemetry import start_telemetry
from services.storage.leases import Claim

BEAT_S = 5.0

log = structlog.get_logger()


class Attempt:
    """The `Task` that a handler is given; it reports to the worker through a pipe."""

    def __init__(self, claim: Claim, stores: Stores, folder: Path, pipe: Connection) -> None:
        self.job = claim.job
        self.folder = folder
        self.objects = stores.objects
        self.datasets = stores.datasets
        self.uploads = stores.uploads
        self.checkpoint = claim.checkpoint
        self._claim = claim
        self._leases = stores.leases
        self._pipe = pipe
        self._lock = threading.Lock()

    def report(self, fraction: float, message: str) -> None:
        self.send(Progress(fraction=min(max(fraction, 0.0), 1.0), message=message))
        self.obey()

    def put(self, name: str, source: Path | bytes) -> ObjectRef:
        self.obey()
        lease = self._claim.lease
        return self.objects.put(Bucket.JOBS, attempt_prefix(lease.job_id, lease.fence) + name, source)

    def save_checkpoint(self, name: str, source: Path | bytes) -> None:
        self._leases.save_checkpoint(self._claim.lease, self.put(name, source))

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
    leases, lease = stores.leases, claim.lease
    with tempfile.TemporaryDirectory(prefix="attempt-", dir=WorkerSettings().scratch) as folder:
        attempt = Attempt(claim, stores, Path(folder), pipe)
        threading.Thread(target=_beat, args=[attempt], daemon=True).start()
        try:
            log.info("attempt started", kind=claim.job.kind)
            manifest = handler(attempt)
            patiently(lambda: leases.finish(lease, manifest))
            log.info("attempt succeeded")
        except LeaseLost:
            log.warning("attempt discarded, the job belongs to another one now")
        except Cancelled:
            patiently(lambda: leases.cancelled(lease))
            log.info("attempt cancelled")
        except Draining:
            patiently(lambda: leases.release(lease))
            log.info("attempt given back")
        except TidepoolError as error:
            log.warning("attempt failed", code=error.code, exc_info=True)
            patiently(partial(leases.fail, lease, error))
        except Exception as error:
            log.exception("attempt failed", code=JobFailed.code)
            reason = "the worker ran out of memory" if isinstance(error, MemoryError) else "an internal error"
            patiently(lambda: leases.fail(lease, JobFailed(f"{reason}; the worker's log has the details")))


def patiently(change: Callable[[], object]) -> None:
    """Make a change to the job's row through an outage of the database; a lost lease ends the wait."""
    while True:
        try:
            change()
        except DatabaseUnavailable:
            time.sleep(1.0)  # the worker kills this process when the lease runs out
        except LeaseLost:
            log.warning("outcome discarded, the job belongs to another attempt now")
            return
        else:
            return


def _beat(attempt: Attempt) -> None:
    while True:
        attempt.send(None)
        time.sleep(BEAT_S)
