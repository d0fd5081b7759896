"""A job worker: when woken, claims a job, runs it in a child process, and repeats until none is due."""

import multiprocessing
import os
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver

import structlog

from contract.errors import DatabaseUnavailable, WorkerLost
from contract.jobs import Job, JobKind
from contract.tracing import Attributes
from contract.usage import Purpose, Use
from messaging.busy import Busy
from messaging.tracing import SDK, tracing
from services.storage.jobs.claims import Claim
from services.storage.jobs.seats import Seat
from services.storage.stores import Stores
from worker.attempt import Origin, log_ids, run_attempt
from worker.attempt_metrics import AttemptMetrics
from worker.metrics import ATTEMPT_SECONDS, ATTEMPTS, ENDED, SUCCEEDED, expect
from worker.seats import SeatWatch, SkippedSeats, TakePart, lease_of, leave, run_seat
from worker.task import Handler
from worker.watch import Watch

POLL_S = 5.0  # an idle worker also polls, as the wake-up message may have reached a busy one

log = structlog.get_logger()


class Worker:
    """Runs the jobs of the kinds it has handlers for, one at a time, from a thread."""

    def __init__(
        self,
        handlers: Mapping[JobKind, Handler],
        stores: Stores,
        busy: Busy,
        preload: Sequence[str] = (),
        seats: Mapping[JobKind, TakePart] | None = None,
    ) -> None:
        """`preload` names modules that the handlers import only when they need them.

        `seats` are the functions by which an idle replica takes part in another's job.
        """
        self._handlers = handlers
        self._seats = seats or {}
        self._skipped = SkippedSeats()
        self._stores = stores
        self._busy = busy
        self.metrics = AttemptMetrics()
        expect(handlers)
        self._woken = threading.Event()
        self._drain = threading.Event()
        self._cordoned = False
        self._thread = threading.Thread(target=self._work, name="jobs")
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._processes = multiprocessing.get_context("forkserver")
        # Imported once by the fork server, so that an attempt starts in milliseconds.
        functions = (run_attempt, *handlers.values(), *self._seats.values())
        modules = {*(function.__module__ for function in functions), *preload}
        if tracing() is not None:
            modules.add(SDK)
        self._processes.set_forkserver_preload(sorted(modules | _main_module()))

    def start(self) -> None:
        """Start the thread: it claims due jobs, then waits for `wake` or for POLL_S seconds."""
        self._thread.start()

    def warm_up(self) -> None:
        """Start the fork server before the first job, whose attempt would otherwise wait for its imports."""
        forkserver.ensure_running()

    def wake(self) -> None:
        """Wake the worker; harmless when there is nothing to do. Takes effect after the current job. Does not block."""
        self._woken.set()

    def cordon(self, cordoned: bool) -> None:
        """While cordoned, finish the current job and claim no more. Does not block."""
        self._cordoned = cordoned

    def drain(self) -> None:
        """Claim no more, and tell the current attempt to stop. Does not block."""
        self._drain.set()
        self.wake()

    def join(self) -> None:
        """Wait for the end of the current job; call `drain` first."""
        self._thread.join()

    def _work(self) -> None:
        while not self._drain.is_set():
            try:
                while (work := self._claim() or self._take_seat()) is not None:
                    use = _use(work.job, work.lease.root if isinstance(work, Claim) else work.job.id)
                    self._busy.begin(use)
                    try:
                        if isinstance(work, Claim):
                            self._run(work)
                        elif not self._run_seat(work):
                            self._skipped.add(work)
                    finally:
                        self._busy.end(use)
            except Exception:
                log.exception("attempt abandoned; the reconciler will recover the job")
            self._woken.wait(POLL_S)
            self._woken.clear()

    def _claim(self) -> Claim | None:
        if self._drain.is_set() or self._cordoned:
            return None
        try:
            return self._stores.leases.claim(self._handlers.keys(), self._name)
        except DatabaseUnavailable:
            log.warning("no job claimed, the database does not answer")
            return None

    def _take_seat(self) -> Seat | None:
        if not self._seats or self._drain.is_set() or self._cordoned:
            return None
        try:
            return self._stores.seats.take(self._seats.keys(), self._name, self._skipped.jobs())
        except DatabaseUnavailable:
            return None

    def _run_seat(self, seat: Seat) -> bool:
        """Take part in another replica's job; return whether it ended, and the seat was of use."""
        kind = seat.job.kind
        with structlog.contextvars.bound_contextvars(job_id=seat.job.id, seat=seat.id, replica=self._name):
            worker_end, seat_end = self._processes.Pipe()
            arguments = (self._seats[kind], seat, kind.pool, seat_end, self._name)
            process = self._processes.Process(target=run_seat, args=arguments)
            process.start()
            seat_end.close()
            try:
                watch = SeatWatch(process, worker_end, self._stores, lease_of(seat), self._drain, self.metrics.report)
                watch.run()
                return watch.outcome == SUCCEEDED
            finally:
                worker_end.close()
                self.metrics.end()
                leave(self._stores, seat)

    def _run(self, claim: Claim) -> None:
        kind = claim.job.kind
        ATTEMPTS.labels(kind).inc()
        traces = tracing()
        span = None if traces is None else traces.attempt(f"attempt {kind}", claim.cause, _attributes(claim))
        origin = Origin(self._name, None if span is None else span.context)
        with (
            structlog.contextvars.bound_contextvars(**log_ids(claim, origin)),
            ATTEMPT_SECONDS.labels(kind).time(),
        ):
            worker_end, attempt_end = self._processes.Pipe()
            arguments = (self._handlers[kind], claim, kind.pool, attempt_end, origin)
            process = self._processes.Process(target=run_attempt, args=arguments)
            process.start()
            attempt_end.close()
            watch = Watch(process, worker_end, self._stores, claim.lease, self._drain, self.metrics.report)
            try:
                watch.run()
            finally:
                worker_end.close()
                self.metrics.end()
                if span is not None:
                    span.end("" if process.exitcode == 0 or watch.lease_lost else WorkerLost.code)
            ENDED.labels(kind, watch.outcome).inc()


def _main_module() -> set[str]:
    """Return the name of the service's main module, which multiprocessing runs again in each attempt.

    What it imports, such as Celery, took 160 ms of CPU time in each attempt.
    """
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return set() if spec is None or spec.name.endswith("__main__") else {spec.name}


def _attributes(claim: Claim) -> Attributes:
    """Return the attributes of an attempt's span."""
    ids: Attributes = {
        "tidepool.job.id": claim.job.id,
        "tidepool.job.kind": claim.job.kind,
        "tidepool.job.attempt": claim.job.attempt,
        "tidepool.job.fence": claim.lease.fence,
        "tidepool.project": claim.job.project,
    }
    return {**ids, "tidepool.job.part": claim.lease.job_id} if claim.part is not None else ids


def _use(job: Job, root: str) -> Use:
    """Return what the seconds of an attempt or a seat are counted under: the root job, of a child its parent, and the
    model.
    """
    model = job.parsed_spec().subject.model
    return Use(Purpose.JOB, model or "", job.parent or root, job.project)
