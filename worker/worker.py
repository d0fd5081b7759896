"""A job worker: a wakeup rings, a job is claimed, one process runs it, and the row says how it ended."""

import multiprocessing
import os
import socket
import threading
from collections.abc import Mapping

import structlog
from prometheus_client import Counter, Histogram

from contract.errors import DatabaseUnavailable
from contract.jobs import JobKind
from contract.usage import Purpose, Use
from messaging.busy import Busy
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from worker.attempt import run_attempt
from worker.task import Handler
from worker.watch import Watch

LOOK_S = 5.0  # so often an idle worker looks for work that another one was woken for, which is busy

log = structlog.get_logger()

ATTEMPTS = Counter("tidepool_attempts_total", "Attempts at jobs, started.", ["kind"])
ATTEMPT_SECONDS = Histogram(
    "tidepool_attempt_seconds", "Wall time of an attempt.", ["kind"], buckets=(0.5, 1, 5, 15, 60, 300, 1800, 7200)
)


class Worker:
    """Runs the jobs of the kinds that it has handlers for, one at a time, in a thread of its own."""

    def __init__(self, handlers: Mapping[JobKind, Handler], stores: Stores, busy: Busy) -> None:
        self._handlers = handlers
        self._stores = stores
        self._busy = busy
        self._wakeup = threading.Event()
        self._drain = threading.Event()
        self._cordoned = False
        self._thread = threading.Thread(target=self._work, name="jobs")
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._processes = multiprocessing.get_context("forkserver")
        # imported once, so that an attempt starts in milliseconds
        self._processes.set_forkserver_preload([handler.__module__ for handler in handlers.values()])

    def start(self) -> None:
        """Look for due jobs, and again at each wakeup and now and then without one."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be work. Returns at once; a wakeup that rings during a job is answered after it."""
        self._wakeup.set()

    def cordon(self, cordoned: bool) -> None:
        """Claim no more for as long as this holds; what runs goes on. Returns at once."""
        self._cordoned = cordoned

    def drain(self) -> None:
        """Claim no more, and ask what runs to stop. Returns at once."""
        self._drain.set()
        self.wake()

    def join(self) -> None:
        """Wait until the last job is over, after a drain."""
        self._thread.join()

    def _work(self) -> None:
        while not self._drain.is_set():
            try:
                while (claim := self._claim()) is not None:
                    use = _use(claim)
                    self._busy.begin(use)
                    try:
                        self._run(claim)
                    finally:
                        self._busy.end(use)
            except Exception:
                log.exception("a job's attempt was left alone; the reconciler sees to it")
            self._wakeup.wait(LOOK_S)
            self._wakeup.clear()

    def _claim(self) -> Claim | None:
        if self._drain.is_set() or self._cordoned:
            return None
        try:
            return self._stores.leases.claim(self._handlers.keys(), self._name)
        except DatabaseUnavailable:
            log.warning("no job claimed, the database does not answer")
            return None

    def _run(self, claim: Claim) -> None:
        kind = claim.job.kind
        ATTEMPTS.labels(kind).inc()
        with (
            structlog.contextvars.bound_contextvars(job_id=claim.job.id, attempt=claim.job.attempt),
            ATTEMPT_SECONDS.labels(kind).time(),
        ):
            ours, theirs = self._processes.Pipe()
            arguments = (self._handlers[kind], claim, kind.pool, theirs)
            process = self._processes.Process(target=run_attempt, args=arguments)
            process.start()
            theirs.close()
            Watch(process, ours, self._stores, claim.lease, self._drain).until_the_end()
            ours.close()


def _use(claim: Claim) -> Use:
    """What an attempt is written down for: the job that people see, and the model that it is about."""
    model = claim.job.parsed_spec().subject.model
    return Use(Purpose.JOB, model or "", claim.lease.root)
