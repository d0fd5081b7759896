"""A job worker: a bell rings, a job is claimed, one process runs it, and the row says how it ended."""

import multiprocessing
import os
import socket
import threading
from typing import Any

import structlog
from celery import signals
from prometheus_client import Counter, Histogram

from contract.errors import DatabaseUnavailable
from contract.jobs import POOLS, JobKind
from runtime.attempt import run_attempt
from runtime.broker import RUN_JOB, celery_app, consume
from runtime.settings import BrokerSettings, TelemetrySettings
from runtime.stores import Stores
from runtime.task import Handler
from runtime.telemetry import start_telemetry
from runtime.watch import Watch
from services.storage.claims import Claim

log = structlog.get_logger()

ATTEMPTS = Counter("tidepool_attempts_total", "Attempts at jobs, started.", ["kind"])
ATTEMPT_SECONDS = Histogram(
    "tidepool_attempt_seconds", "Wall time of an attempt.", ["kind"], buckets=(0.5, 1, 5, 15, 60, 300, 1800, 7200)
)


class Worker:
    """Runs the jobs of one kind, one at a time."""

    def __init__(self, kind: JobKind, handler: Handler, stores: Stores) -> None:
        self.kind = kind
        self.drain = threading.Event()
        self._handler = handler
        self._stores = stores
        self._busy = threading.Lock()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._processes = multiprocessing.get_context("forkserver")
        # imported once, so that an attempt starts in milliseconds
        self._processes.set_forkserver_preload([handler.__module__])

    def answer_bell(self) -> int:
        """Claim due jobs, one after the other, and see them through; how many there were.

        A bell that rings while a job runs is heard by nobody: whoever runs it looks for the next one himself.
        """
        count = 0
        if self._busy.acquire(blocking=False):
            try:
                while (claim := self._claim()) is not None:
                    self._run(claim)
                    count += 1
            finally:
                self._busy.release()
        return count

    def _claim(self) -> Claim | None:
        if self.drain.is_set():
            return None
        try:
            return self._stores.leases.claim(self.kind, self._name)
        except DatabaseUnavailable:
            log.warning("bell ignored, the database does not answer; the reconciler rings again")
            return None

    def _run(self, claim: Claim) -> None:
        ATTEMPTS.labels(self.kind).inc()
        with (
            structlog.contextvars.bound_contextvars(job_id=claim.job.id, attempt=claim.job.attempt),
            ATTEMPT_SECONDS.labels(self.kind).time(),
        ):
            ours, theirs = self._processes.Pipe()
            process = self._processes.Process(target=run_attempt, args=(self._handler, claim, POOLS[self.kind], theirs))
            process.start()
            theirs.close()
            Watch(process, ours, self._stores, claim.lease, self.drain).until_the_end()
            ours.close()


def serve_jobs(kind: JobKind, handler: Handler) -> None:
    """The process of one replica of a pool, until SIGTERM; a composition root."""
    start_telemetry(POOLS[kind], TelemetrySettings())
    app = celery_app(BrokerSettings())
    worker = Worker(kind, handler, Stores.from_environment())

    def run_job(job_id: str) -> None:
        log.debug("bell", job_id=job_id)
        worker.answer_bell()

    def drain(**_: Any) -> None:
        worker.drain.set()

    signals.worker_shutting_down.connect(drain, weak=False)
    # threads: the main thread stays with the broker while a job runs in its own process
    consume(app, POOLS[kind], RUN_JOB, run_job, pool="threads")
