"""Watches over an attempt: renews its lease while it lives, passes cancel and drain on, kills what does not obey."""

import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Event

import structlog

from contract.errors import Cancelled, DatabaseUnavailable, Draining, Interrupted, LeaseLost, WorkerLost
from contract.jobs import Progress
from services.storage.jobs.rows import LEASE, Lease
from services.storage.stores import Stores
from worker.attempt import settle

RENEW_S = 5.0  # so soon does a cancel or the loss of a lease show
PUBLISH_S = 0.5  # progress is written at most this often
SILENT_S = 30.0  # a stopped or hung process sends no beats
GRACE_S = 5.0  # from a cancel to the kill
DRAIN_GRACE_S = 25.0  # from a drain to the kill, within the 30 s of the worker

log = structlog.get_logger()


@dataclass
class Watch:
    """One attempt under watch; `drain` is set when the worker must go."""

    process: BaseProcess
    pipe: Connection
    stores: Stores
    lease: Lease
    drain: Event
    _progress: Progress | None = None  # that the row does not show yet
    _asked: Interrupted | None = None
    _kill_at: float = float("inf")

    def until_the_end(self) -> None:
        """Return when the attempt is over and its outcome is in the job's row."""
        renewed = heard = time.monotonic()
        while self.process.is_alive():
            if self._listen():
                heard = time.monotonic()
            now = time.monotonic()
            if now - renewed >= (PUBLISH_S if self._progress else RENEW_S):
                try:
                    self.stores.leases.renew(self.lease, self._progress)
                    renewed, self._progress = now, None
                except Cancelled as error:
                    renewed = now
                    self._ask(error, GRACE_S)
                except LeaseLost:
                    log.warning("lease lost, stopping the attempt")
                    self._kill()
                    return
                except DatabaseUnavailable:
                    if now - renewed > LEASE.total_seconds():
                        log.warning("lease ran out while the database was away, stopping the attempt")
                        self._kill()
                        return
            if self.drain.is_set():
                self._ask(Draining("the worker is going away"), DRAIN_GRACE_S)
            if now - heard > SILENT_S or now > self._kill_at:
                log.warning("killing the attempt", silent_s=now - heard, asked=repr(self._asked))
                self._kill()
        self._settle()

    def _listen(self) -> bool:
        """Take what the attempt has sent within the next moment; whether it sent anything."""
        heard = False
        try:
            while self.pipe.poll(0 if heard else 0.1):
                self._progress = self.pipe.recv() or self._progress
                heard = True
        except (EOFError, OSError):
            self.process.join(0.1)  # its end of the pipe is closed: it is exiting
        return heard

    def _ask(self, reason: Interrupted, grace: float) -> None:
        if self._asked is None:
            self._asked = reason
            self._kill_at = time.monotonic() + grace
            try:
                self.pipe.send(reason)
            except OSError:
                log.info("the attempt ended before it could be asked to")

    def _kill(self) -> None:
        self.process.kill()
        self.process.join()

    def _settle(self) -> None:
        """Write the outcome of an attempt that could not write it itself."""
        if self.process.exitcode == 0:
            return
        log.warning("attempt died", exit_code=self.process.exitcode, asked=repr(self._asked))
        died = WorkerLost("the process that ran the job died; it may have run out of memory")
        settle(self.stores, self.lease, self._asked or died)
