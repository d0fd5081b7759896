"""The only place where a job is run in this process over stores whose calls fail."""

import tempfile
from dataclasses import dataclass
from multiprocessing import Pipe
from pathlib import Path

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable, TidepoolError
from contract.events import EventKind
from contract.jobs import Job, JobKind, JobRequest
from services.storage.stores import Stores
from services.storage.sweep.reconciler import Reconciler
from tests.clock import FakeClock
from tests.faults.injector import Died, FaultyDatabase, FaultyObjects, Injector
from worker.attempt import Attempt, conclude, settle
from worker.task import Handler

LEASE_S = 61.0


@dataclass(frozen=True)
class World:
    """Stores in memory, the clock behind them, and what fails their calls."""

    injector: Injector
    clock: FakeClock
    stores: Stores

    @classmethod
    def fresh(cls) -> "World":
        injector, clock = Injector(), FakeClock()
        return cls(injector, clock, Stores(FaultyDatabase.faulty(injector, clock), FaultyObjects(injector)))

    def see_through(self, request: JobRequest, handler: Handler, folder: Path) -> Job:
        """Run the job with as many replicas as it takes; a minute passes after each."""
        job = self.stores.of(DEFAULT_PROJECT).jobs.create(request)
        while not job.state.terminal:
            with self.injector.arm():
                self._attempt(request.kind, handler, folder)
            self.clock.tick(LEASE_S)
            Reconciler(self.stores.database).repair()
            job = self.stores.of(DEFAULT_PROJECT).jobs.get(job.id)
        return job

    def epochs(self, job: Job) -> list[int]:
        """The epochs that the job's events report."""
        events = self.stores.of(DEFAULT_PROJECT).events.after(job.id, 0)
        return [event.data["epoch"] for event in events if event.kind == EventKind.METRICS]

    def _attempt(self, kind: JobKind, handler: Handler, folder: Path) -> None:
        ours, theirs = Pipe()
        with ours, theirs, tempfile.TemporaryDirectory(dir=folder) as scratch:
            try:
                claim = self.stores.leases.claim(kind, "replica")
                if claim is None:
                    return
                try:
                    conclude(self.stores, claim.lease, handler(Attempt(claim, self.stores, Path(scratch), theirs)))
                except TidepoolError as error:
                    settle(self.stores, claim.lease, error)
            except (Died, DatabaseUnavailable):
                return
