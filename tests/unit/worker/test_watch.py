"""A watch renews the lease of its attempt, forwards cancel and drain, and records the end of an attempt that died."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from multiprocessing.connection import Connection
from threading import Event

import pytest
from prometheus_client import Metric
from sqlalchemy import Connection as DatabaseConnection

from contract.access import DEFAULT_PROJECT
from contract.errors import DatabaseUnavailable, Draining, LeaseLost, WorkerLost
from contract.jobs import Job, JobKind, JobState, Progress
from services.storage.jobs.claims import Claim
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.stores import Stores
from tests.examples import PREPROCESS_REQUEST, PROGRESS, TRAIN_REQUEST
from worker import watch
from worker.attempt import Ended, StopEarly
from worker.watch import Watch

FORK = multiprocessing.get_context("fork")


def obedient(pipe: Connection) -> None:
    """Stop when told to."""
    pipe.send(PROGRESS)
    pipe.recv()
    os._exit(1)


def stopping_early(pipe: Connection) -> None:
    """Succeed when asked to stop early."""
    os._exit(0 if isinstance(pipe.recv(), StopEarly) else 1)


def disobedient(pipe: Connection) -> None:
    """Send heartbeats and ignore requests to stop."""
    while True:
        pipe.send(())
        Event().wait(0.01)


def silent(pipe: Connection) -> None:
    """Send nothing."""
    Event().wait()


def dying(pipe: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def measured(pipe: Connection) -> None:
    """Send metrics, and end at once."""
    pipe.send(Ended("bad_dataset", (Metric("tidepool_tested", "A metric.", "counter"),)))
    os._exit(0)


def done(pipe: Connection) -> None:
    os._exit(0)


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEW_S", "PUBLISH_S", "GRACE_S", "DRAIN_GRACE_S"):
        monkeypatch.setattr(watch, name, 0.05)


@pytest.fixture
def claim(stores: Stores) -> Claim:
    stores.of(DEFAULT_PROJECT).jobs.create(PREPROCESS_REQUEST)
    claim = stores.leases.claim(JobKind.PREPROCESS, "worker")
    assert claim is not None
    return claim


@pytest.fixture
def drain() -> Event:
    return Event()


Watched = Callable[[Callable[[Connection], None]], Job]


@pytest.fixture
def watched(stores: Stores, claim: Claim, drain: Event) -> Iterator[Watched]:
    """Run a watch over a process with the given behaviour and return the job afterwards."""
    started = []

    def run(behaviour: Callable[[Connection], None]) -> Job:
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=behaviour, args=[theirs], daemon=True)
        process.start()
        started.append(process)
        theirs.close()
        Watch(process, ours, stores, claim.lease, drain).run()
        return stores.of(DEFAULT_PROJECT).jobs.get(claim.job.id)

    yield run
    assert [process for process in started if process.is_alive()] == []


def test_the_outcome_of_a_killed_attempt_is_the_request_to_stop(stores: Stores, claim: Claim, drain: Event) -> None:
    outcomes = []
    for behaviour, drains in ((dying, False), (disobedient, True)):
        ours, theirs = FORK.Pipe()
        process = FORK.Process(target=behaviour, args=[theirs], daemon=True)
        process.start()
        theirs.close()
        if drains:
            drain.set()
        watch_of_it = Watch(process, ours, stores, claim.lease, drain)
        watch_of_it.run()
        outcomes.append(watch_of_it.outcome)

    assert outcomes == [WorkerLost.code, Draining.code]


def test_the_outcome_of_an_attempt_without_its_lease_is_the_lost_lease(
    stores: Stores, claim: Claim, drain: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=disobedient, args=[theirs], daemon=True)
    process.start()
    theirs.close()
    monkeypatch.setattr(watch, "LAST_MESSAGE_S", 0.1)
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)
    Leases(stores.database).fail(claim.lease, WorkerLost("another worker has it"))
    watch_of_it = Watch(process, ours, stores, claim.lease, drain)
    watch_of_it.run()

    assert watch_of_it.outcome == LeaseLost.code


def test_the_last_metrics_of_an_attempt_arrive(stores: Stores, claim: Claim, drain: Event) -> None:
    received: list[tuple[Metric, ...]] = []
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=measured, args=[theirs], daemon=True)
    process.start()
    theirs.close()
    process.join()

    watch_of_it = Watch(process, ours, stores, claim.lease, drain, received.append)
    watch_of_it.run()

    assert watch_of_it.outcome == "bad_dataset"
    assert [[metric.name for metric in metrics] for metrics in received] == [["tidepool_tested"]]


def test_the_watch_writes_nothing_for_an_attempt_that_exits_with_success(watched: Watched, claim: Claim) -> None:
    assert watched(done) == claim.job


def test_an_attempt_that_dies_counts_as_failed(watched: Watched) -> None:
    job = watched(dying)

    assert (job.state, job.error and job.error.code) == (JobState.QUEUED, "worker_lost")


def test_an_attempt_that_hangs_is_killed_and_counts_as_failed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "SILENT_S", 0.2)

    job = watched(silent)

    assert (job.state, job.error and job.error.code) == (JobState.QUEUED, "worker_lost")


@pytest.mark.parametrize("behaviour", [obedient, disobedient])
def test_a_cancel_stops_the_attempt(
    watched: Watched, stores: Stores, claim: Claim, behaviour: Callable[[Connection], None]
) -> None:
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)

    assert watched(behaviour).state == JobState.CANCELLED


@pytest.mark.parametrize("behaviour", [obedient, disobedient])
def test_a_drain_stops_the_attempt_which_does_not_count(
    watched: Watched, stores: Stores, drain: Event, behaviour: Callable[[Connection], None]
) -> None:
    drain.set()

    job = watched(behaviour)

    assert (job.state, job.error) == (JobState.QUEUED, None)
    again = stores.leases.claim(JobKind.PREPROCESS, "another")
    assert again is not None
    assert again.job.attempt == 1


def test_an_attempt_without_its_lease_is_killed_and_changes_nothing(
    watched: Watched, stores: Stores, claim: Claim
) -> None:
    # given a job that another worker holds now
    stores.leases.release(claim.lease)
    current = stores.leases.claim(JobKind.PREPROCESS, "another")
    assert current is not None

    assert watched(disobedient) == current.job


def test_progress_is_published(
    watched: Watched, stores: Stores, claim: Claim, drain: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a worker that is drained once it has published progress
    renew = Leases.renew

    def renewed(leases: Leases, lease: Lease, progress: Progress) -> None:
        renew(leases, lease, progress)
        drain.set()

    monkeypatch.setattr(Leases, "renew", renewed)

    # when
    job = watched(obedient)

    # then
    assert job.progress.fraction == PROGRESS.fraction
    assert stores.of(DEFAULT_PROJECT).events.after(claim.job.id, 2)[0].data == PROGRESS.model_dump()


def test_an_attempt_survives_an_outage_shorter_than_its_lease(
    watched: Watched, stores: Stores, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a cancelled job, and a database that fails the first three writes
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)
    outages = [DatabaseUnavailable("away")] * 3
    write = stores.database.write

    def flaky() -> AbstractContextManager[DatabaseConnection]:
        if outages:
            raise outages.pop()
        return write()

    monkeypatch.setattr(stores.database, "write", flaky)

    # then the cancel is noticed after the outage
    assert watched(obedient).state == JobState.CANCELLED
    assert outages == []


def test_an_attempt_whose_lease_expires_during_an_outage_is_killed(
    watched: Watched, stores: Stores, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable() -> AbstractContextManager[DatabaseConnection]:
        raise DatabaseUnavailable("away")

    monkeypatch.setattr(watch, "LEASE", timedelta(seconds=0.2))
    monkeypatch.setattr(stores.database, "write", unavailable)

    # as another replica may hold the job; the reconciler recovers it
    assert watched(disobedient) == claim.job


def test_an_attempt_is_asked_once_to_stop_early(stores: Stores, drain: Event) -> None:
    # given a training that should keep its best model
    job = stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim(JobKind.TRAIN, "worker")
    assert claim is not None
    stores.of(DEFAULT_PROJECT).jobs.cancel(job.id, keep_best=True)
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=stopping_early, args=[theirs], daemon=True)
    process.start()
    theirs.close()

    Watch(process, ours, stores, claim.lease, drain).run()

    assert process.exitcode == 0
    assert stores.of(DEFAULT_PROJECT).jobs.get(job.id).state == JobState.RUNNING  # the attempt writes its outcome
