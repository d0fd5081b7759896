"""Runs a job in this process on stores whose calls fail."""

import tempfile
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable, TidepoolError
from contract.jobs import EventKind, Job, JobKind, JobRequest
from services.storage.stores import Stores
from services.storage.sweep.reconciler import Reconciler
from tests.faults.injector import Died, FaultyDatabase, FaultyObjects, Injector
from tests.support.clock import FakeClock
from worker.attempt import Attempt, conclude, settle
from worker.task import Handler

LEASE_S = 61.0


@dataclass(frozen=True)
class World:
    """In-memory stores with their clock and their fault injector."""

    injector: Injector
    clock: FakeClock
    stores: Stores

    @classmethod
    def fresh(cls) -> "World":
        injector, clock = Injector(), FakeClock()
        return cls(injector, clock, Stores(FaultyDatabase.faulty(injector, clock), FaultyObjects(injector, clock)))

    def run(self, request: JobRequest, handler: Handler, folder: Path) -> Job:
        """Run attempts until the job ends; the clock advances by a minute after each."""
        job = self.stores.of(DEFAULT_PROJECT).jobs.create(request)
        while not job.state.terminal:
            with self.injector.arm():
                self.attempt(request.kind, handler, folder)
            self.clock.tick(LEASE_S)
            Reconciler(self.stores.database).repair()
            job = self.stores.of(DEFAULT_PROJECT).jobs.get(job.id)
        return job

    def epochs(self, job: Job) -> list[int]:
        """Return the epochs reported in the job's events."""
        events = self.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
        return [event.data["epoch"] for event in events if event.kind == EventKind.METRICS]

    def attempt(self, kind: JobKind, handler: Handler, folder: Path) -> None:
        worker_end, attempt_end = Pipe()
        with worker_end, attempt_end, tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                claim = self.stores.leases.claim(kind, "replica")
                if claim is None:
                    return
                try:
                    conclude(self.stores, claim.lease, handler(Attempt(claim, self.stores, Path(scratch), attempt_end)))
                except TidepoolError as error:
                    settle(self.stores, claim.lease, error)
            except (Died, DatabaseUnavailable):
                return
