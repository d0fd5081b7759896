"""Supervises an attempt: renews its lease, forwards cancel and drain, kills it if it does not stop in time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Event

import structlog
from prometheus_client import Metric

from contract.errors import Cancelled, DatabaseUnavailable, Draining, Interrupted, LeaseLost, TidepoolError, WorkerLost
from contract.jobs import Progress
from messaging.tracing import tracing
from services.storage.jobs.rows import LEASE, Lease
from services.storage.stores import Stores
from worker.attempt import Ended, StopEarly, settle

RENEW_S = 5.0  # a cancel or a lost lease is noticed within this time
PUBLISH_S = 0.5  # progress is written at most this often
SILENT_S = 30.0  # without a heartbeat: the process is stopped or hung
GRACE_S = 5.0  # from a cancel to the kill
LAST_MESSAGE_S = 1.0  # for an attempt that has just given its lease back to say so
DRAIN_GRACE_S = 25.0  # from a drain to the kill; a worker gets 30 s to stop

log = structlog.get_logger()


@dataclass
class Watch:
    """Supervises one attempt; `drain` is set when the worker shuts down, `on_metrics` gets those of the attempt.

    `lease_lost`: the attempt was stopped because another one has the job, or because it had ended the job already.
    """

    process: BaseProcess
    pipe: Connection
    stores: Stores
    lease: Lease
    drain: Event
    on_metrics: Callable[[tuple[Metric, ...]], None] = lambda metrics: None
    lease_lost: bool = False
    _progress: Progress | None = None  # not yet written to the job's row
    _outcome: str | None = None
    _stop_reason: Interrupted | None = None
    _stops_early: bool = False
    _kill_at: float = float("inf")

    def run(self) -> None:
        """Return when the attempt has ended and its outcome is in the job's row."""
        renewed = last_message = time.monotonic()
        while self.process.is_alive():
            if self._receive():
                last_message = time.monotonic()
            now = time.monotonic()
            if now - renewed >= (PUBLISH_S if self._progress else RENEW_S):
                try:
                    stop_early = self._renew(self._progress)
                    renewed, self._progress = now, None
                    if stop_early:
                        self._request_early_stop()
                except Cancelled as error:
                    renewed = now
                    self._request_stop(error, GRACE_S)
                except LeaseLost:
                    self.lease_lost = True
                    if self._has_ended():
                        self.process.join(GRACE_S)  # it removes its files
                    else:
                        log.warning("lease lost, stopping the attempt")
                    self._kill()
                    self._receive()  # its last spans: it may have ended the job itself just before
                    return
                except DatabaseUnavailable:
                    if now - renewed > LEASE.total_seconds():
                        log.warning("lease expired during a database outage, stopping the attempt")
                        self._kill()
                        return
            if self.drain.is_set():
                self._request_stop(Draining("the worker is shutting down"), DRAIN_GRACE_S)
            if now - last_message > SILENT_S or now > self._kill_at:
                log.warning("killing the attempt", silent_s=now - last_message, stop_reason=repr(self._stop_reason))
                self._kill()
        self._receive()  # its last spans and metrics
        self._settle()

    @property
    def outcome(self) -> str:
        """How the attempt ended; if it did not say so, by the request to stop, or by its death."""
        return self._outcome or (self._stop_reason or (LeaseLost if self.lease_lost else WorkerLost)).code

    def _renew(self, progress: Progress | None) -> bool:
        """Renew the lease; return whether the attempt should end early. Raises Cancelled, LeaseLost."""
        return self.stores.leases.renew(self.lease, progress)

    def _end(self, reason: TidepoolError) -> None:
        """Record why an attempt ended that could not do so itself."""
        settle(self.stores, self.lease, reason)

    def _has_ended(self) -> bool:
        """Return whether the attempt has ended its lease itself, once its last message is there or overdue."""
        until = time.monotonic() + LAST_MESSAGE_S
        while self._outcome is None and self.process.is_alive() and time.monotonic() < until:
            self._receive()
        return self._outcome is not None

    def _receive(self) -> bool:
        """Read the attempt's messages, waiting at most 0.1 s for the first; True if there was any."""
        received = False
        try:
            while self.pipe.poll(0 if received else 0.1):
                match self.pipe.recv():
                    case Progress() as progress:
                        self._progress = progress
                    case Ended() as end:
                        self._outcome = end.outcome
                        self.on_metrics(end.metrics)
                    case tuple() as metrics:
                        self.on_metrics(metrics)
                    case span:
                        if (traces := tracing()) is not None:
                            traces.add(span)
                received = True
        except (EOFError, OSError):
            self.process.join(0.1)  # the attempt closed its end: it is exiting
        return received

    def _request_stop(self, reason: Interrupted, grace: float) -> None:
        if self._stop_reason is None:
            self._stop_reason = reason
            self._kill_at = time.monotonic() + grace
            self._send(reason)

    def _request_early_stop(self) -> None:
        """Ask the attempt to finish with its best result; it gets as long as it needs."""
        if not self._stops_early:
            self._stops_early = True
            self._send(StopEarly())

    def _send(self, request: Interrupted | StopEarly) -> None:
        try:
            self.pipe.send(request)
        except OSError:
            log.info("the attempt ended before it received the request to stop")

    def _kill(self) -> None:
        self.process.kill()
        self.process.join()

    def _settle(self) -> None:
        """Write the outcome of an attempt that died before it could write it."""
        if self.process.exitcode == 0:
            return
        log.warning("attempt died", exit_code=self.process.exitcode, stop_reason=repr(self._stop_reason))
        died = WorkerLost("the process that ran the job died; it may have run out of memory")
        self._end(self._stop_reason or died)
