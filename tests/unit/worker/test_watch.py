"""Who watches an attempt keeps its lease, passes on what it must know, and writes the end that it cannot write."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from multiprocessing.connection import Connection
from threading import Event

import pytest
from sqlalchemy import Connection as DatabaseConnection

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable
from contract.jobs import Job, JobKind, JobState, Progress
from services.storage.database import Database
from services.storage.jobs.claims import Claim
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST, PROGRESS
from worker import watch
from worker.watch import Watch

FORK = multiprocessing.get_context("fork")


def obedient(pipe: Connection) -> None:
    """Works until it is asked to stop."""
    pipe.send(PROGRESS)
    pipe.recv()
    os._exit(1)


def deaf(pipe: Connection) -> None:
    """Lives, works, and does not listen."""
    while True:
        pipe.send(None)
        Event().wait(0.01)


def silent(pipe: Connection) -> None:
    """Hangs."""
    Event().wait()


def dying(pipe: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def done(pipe: Connection) -> None:
    os._exit(0)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEW_S", "PUBLISH_S", "GRACE_S", "DRAIN_GRACE_S"):
        monkeypatch.setattr(watch, name, 0.05)


@pytest.fixture
def stores() -> Stores:
    return Stores(Database.in_memory(), MemoryObjects())


@pytest.fixture
def claim(stores: Stores) -> Claim:
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    return claim


@pytest.fixture
def drain() -> Event:
    return Event()


Over = Callable[[Callable[[Connection], None]], Job]


@pytest.fixture
def over(stores: Stores, claim: Claim, drain: Event) -> Iterator[Over]:
    """Watches an attempt that behaves as it is told, and gives its job when it is over."""
    started = []

    def run(behaviour: Callable[[Connection], None]) -> Job:
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=behaviour, args=[theirs], daemon=True)
        process.start()
        started.append(process)
        theirs.close()
        Watch(process, ours, stores, claim.lease, drain).until_the_end()
        return stores.of(DEFAULT_PROJECT).jobs.get(claim.job.id)

    yield run
    assert [process for process in started if process.is_alive()] == []


def test_an_attempt_that_ends_well_has_written_its_end_itself(over: Over, claim: Claim) -> None:
    assert over(done) == claim.job


def test_an_attempt_that_dies_is_charged(over: Over) -> None:
    job = over(dying)

    assert (job.state, job.error and job.error.code) == (JobState.QUEUED, "worker_lost")


def test_an_attempt_that_hangs_is_killed_and_charged(over: Over, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 0.2)

    job = over(silent)

    assert (job.state, job.error and job.error.code) == (JobState.QUEUED, "worker_lost")


@pytest.mark.parametrize("behaviour", [obedient, deaf])
def test_a_cancel_is_passed_on(
    over: Over, stores: Stores, claim: Claim, behaviour: Callable[[Connection], None]
) -> None:
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)

    assert over(behaviour).state == JobState.CANCELLED


@pytest.mark.parametrize("behaviour", [obedient, deaf])
def test_a_drain_is_passed_on_and_charges_nothing(
    over: Over, stores: Stores, drain: Event, behaviour: Callable[[Connection], None]
) -> None:
    drain.set()

    job = over(behaviour)

    assert (job.state, job.error) == (JobState.QUEUED, None)
    again = stores.leases.claim(JobKind.PREPROCESS, "another")
    assert again is not None
    assert again.job.attempt == 1


def test_an_attempt_without_its_lease_is_killed_and_changes_nothing(over: Over, stores: Stores, claim: Claim) -> None:
    # given a job that another worker has by now
    stores.leases.release(claim.lease)
    current = stores.leases.claim(JobKind.PREPROCESS, "another")
    assert current is not None

    assert over(deaf) == current.job


def test_progress_is_published(
    over: Over, stores: Stores, claim: Claim, drain: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a worker that is told to go once it has published something
    renew = Leases.renew

    def renewed(leases: Leases, lease: Lease, progress: Progress) -> None:
        renew(leases, lease, progress)
        drain.set()

    monkeypatch.setattr(Leases, "renew", renewed)

    # when
    job = over(obedient)

    # then
    assert job.progress.fraction == PROGRESS.fraction
    assert stores.of(DEFAULT_PROJECT).events.after(claim.job.id, 2)[0].data == PROGRESS.model_dump()


def test_an_attempt_outlives_an_outage_that_is_shorter_than_its_lease(
    over: Over, stores: Stores, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a cancelled job, and a database that is away for the first looks
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)
    outages = [DatabaseUnavailable("away")] * 3
    write = stores.database.write

    def flaky() -> AbstractContextManager[DatabaseConnection]:
        if outages:
            raise outages.pop()
        return write()

    monkeypatch.setattr(stores.database, "write", flaky)

    # then the cancel is heard after it
    assert over(obedient).state == JobState.CANCELLED
    assert outages == []


def test_an_attempt_whose_lease_runs_out_in_an_outage_is_killed(
    over: Over, stores: Stores, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> AbstractContextManager[DatabaseConnection]:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(watch, "LEASE", timedelta(seconds=0.2))
    monkeypatch.setattr(stores.database, "write", away)

    # as another may have the job; the reconciler sees to it
    assert over(deaf) == claim.job
