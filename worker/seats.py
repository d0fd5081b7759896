"""A replica in a seat of a job that another replica leads: takes part in a child process, while the leader does."""

import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from contract.errors import DatabaseUnavailable, Interrupted, TidepoolError
from contract.jobs import Job, Progress
from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from services.storage.catalog.datasets import Datasets
from services.storage.jobs.rows import Lease
from services.storage.jobs.seats import Seat
from services.storage.objects import Artifacts
from services.storage.stores import Stores
from worker.attempt import BEAT_S, Ended, Message, StopEarly
from worker.attempt_metrics import snapshot
from worker.metrics import SUCCEEDED
from worker.retries import RetryingObjects, retry_outages
from worker.settings import WorkerSettings
from worker.watch import Watch

SKIP_S = 300.0

log = structlog.get_logger()


class SeatTask:
    """What a replica in a seat gets: the job, its data and the address of the leader's store."""

    def __init__(self, seat: Seat, stores: Stores, folder: Path, pipe: Connection) -> None:
        self.job: Job = seat.job
        self.endpoint = seat.endpoint
        self.folder = folder
        self.objects: Artifacts = RetryingObjects(stores.objects, self.check_stop)
        self.datasets: Datasets = stores.of(seat.job.project).datasets
        self._seat = seat
        self._seats = stores.seats
        self._pipe = pipe
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Note that this replica may join; raises LeaseLost, Cancelled."""
        retry_outages(lambda: self._seats.ready(self._seat.id), self.check_stop)

    def report(self, fraction: float, message: str) -> None:
        """Raise what `check_stop` raises; the leader reports the progress."""
        self.check_stop()

    def check_stop(self) -> None:
        """Raise Cancelled or Draining if the worker process has requested a stop."""
        while self._pipe.poll():
            if not isinstance(reason := self._pipe.recv(), StopEarly):
                raise reason

    def send(self, message: Message) -> None:
        """Send a message to the worker process."""
        try:
            with self._lock:
                self._pipe.send(message)
        except OSError:
            os._exit(1)  # without its worker the seat is not renewed


TakePart = Callable[[SeatTask], None]
"""Takes part until the job has ended; raises what keeps the replica from it."""


class SkippedSeats:
    """Seats that this replica could not use, because of its network, disk or data: for SKIP_S it takes no such again.

    A job is known by the fence of its leader too, since another leader may be reachable.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[tuple[str, int], float] = {}

    def add(self, seat: Seat) -> None:
        self._until[seat.job.id, seat.fence] = self._clock() + SKIP_S

    def jobs(self) -> frozenset[tuple[str, int]]:
        """Return the jobs and fences to skip now."""
        now = self._clock()
        self._until = {job: until for job, until in self._until.items() if until > now}
        return frozenset(self._until)


@dataclass
class SeatWatch(Watch):
    """Supervises a replica's part in another's job, and renews the seat."""

    def _renew(self, progress: Progress | None) -> bool:
        self.stores.seats.renew(self.lease.job_id)
        return False

    def _end(self, reason: TidepoolError) -> None:
        log.warning("seat ended", code=reason.code)


def lease_of(seat: Seat) -> Lease:
    """Return the lease of a seat, whose id stands for that of a job."""
    return Lease(seat.id, seat.fence, seat.job.id)


def leave(stores: Stores, seat: Seat) -> None:
    """Give a seat back; if the database does not answer, its lease expires."""
    try:
        stores.seats.leave(seat.id)
    except DatabaseUnavailable:
        log.info("seat not left, its lease will expire")


def run_seat(take_part: TakePart, seat: Seat, role: str, pipe: Connection, worker: str) -> None:
    """Entry point of the child process."""
    gc.freeze()
    start_telemetry(role, TelemetrySettings(metrics_port=0))
    ids = {"job_id": seat.job.id, "fence": seat.fence, "project": seat.job.project, "seat": seat.id, "replica": worker}
    structlog.contextvars.bind_contextvars(**ids)
    stores = Stores.from_environment()
    outcome = SUCCEEDED
    with tempfile.TemporaryDirectory(prefix="seat-", dir=WorkerSettings().scratch) as folder:
        task = SeatTask(seat, stores, Path(folder), pipe)
        threading.Thread(target=_beat, args=[task], daemon=True).start()
        log.info("seat taken", kind=seat.job.kind)
        try:
            take_part(task)
        except Interrupted as error:
            log.info("seat left", exc_info=error)
            outcome = error.code
        except Exception as error:
            log.exception("seat left")
            outcome = error.code if isinstance(error, TidepoolError) else TidepoolError.code
        task.send(Ended(outcome, snapshot()))


def _beat(task: SeatTask) -> None:
    while True:
        task.send(snapshot())
        time.sleep(BEAT_S)
