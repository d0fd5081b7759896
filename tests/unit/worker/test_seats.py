"""A replica in a seat takes part until its worker asks it to stop, or the job goes on without it."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event

import pytest

from contract.access import DEFAULT_PROJECT
from contract.errors import Draining
from contract.jobs import JobKind
from services.storage.jobs.claims import Claim
from services.storage.jobs.seats import Seat
from services.storage.stores import Stores
from tests.examples import TRAIN_REQUEST
from worker import watch
from worker.attempt import StopEarly
from worker.seats import SeatTask, SeatWatch, lease_of, leave

FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RENEW_S", "PUBLISH_S", "GRACE_S", "DRAIN_GRACE_S", "LAST_MESSAGE_S"):
        monkeypatch.setattr(watch, name, 0.05)


@pytest.fixture
def claim(stores: Stores) -> Claim:
    stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim(JobKind.TRAIN, "host:1")
    assert claim is not None
    return claim


@pytest.fixture
def seat(stores: Stores, claim: Claim) -> Seat:
    stores.seats.offer(claim.lease, "127.0.0.1:1", "run", 1)
    seat = stores.seats.take([JobKind.TRAIN], "host:2")
    assert seat is not None
    return seat


def beating(pipe: Connection) -> None:
    """Send heartbeats and never end."""
    while True:
        pipe.send(())
        Event().wait(0.01)


def obedient(pipe: Connection) -> None:
    """End when asked to."""
    pipe.recv()


def watched(stores: Stores, seat: Seat, behaviour: Callable[[Connection], None], drain: Event) -> SeatWatch:
    ours, theirs = FORK.Pipe()
    process = FORK.Process(target=behaviour, args=[theirs], daemon=True)
    process.start()
    theirs.close()
    seat_watch = SeatWatch(process, ours, stores, lease_of(seat), drain)
    seat_watch.run()
    assert not process.is_alive()
    return seat_watch


def test_a_replica_whose_leader_lost_the_job_is_stopped(stores: Stores, claim: Claim, seat: Seat) -> None:
    stores.leases.release(claim.lease)

    assert watched(stores, seat, beating, Event()).lease_lost


def test_a_replica_leaves_a_job_that_was_cancelled(stores: Stores, claim: Claim, seat: Seat) -> None:
    stores.of(DEFAULT_PROJECT).jobs.cancel(claim.job.id)

    assert not watched(stores, seat, obedient, Event()).lease_lost


def test_a_replica_that_drains_leaves_its_seat(stores: Stores, claim: Claim, seat: Seat) -> None:
    drain = Event()
    drain.set()

    watched(stores, seat, obedient, drain)
    leave(stores, seat)

    assert stores.seats.take([JobKind.TRAIN], "host:3") is not None
    assert stores.leases.renew(claim.lease) is False  # the job goes on


def test_what_a_replica_in_a_seat_is_asked(stores: Stores, claim: Claim, seat: Seat, tmp_path: Path) -> None:
    ours, theirs = FORK.Pipe()
    task = SeatTask(seat, stores, tmp_path, theirs)
    task.check_stop()
    task.ready()

    ours.send(StopEarly())  # the leader's business
    task.check_stop()
    ours.send(Draining("the worker is shutting down"))

    with pytest.raises(Draining):
        task.check_stop()
    assert stores.seats.ready_workers(claim.lease) == {"host:2"}
