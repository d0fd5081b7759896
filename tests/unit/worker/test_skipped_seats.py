"""A replica that cannot use a seat does not take it again at once."""

from threading import Event

import pytest

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobKind
from messaging.busy import Busy
from services.storage.database import Database
from services.storage.jobs.seats import Seat
from services.storage.memory_objects import MemoryObjects
from services.storage.stores import Stores
from services.trainer.elastic.seat import take_part
from services.trainer.worker import train
from tests.examples import TRAIN_REQUEST
from worker.seats import SKIP_S, SkippedSeats
from worker.worker import Worker


@pytest.fixture
def stores() -> Stores:
    """With a seat that another replica offers."""
    stores = Stores(Database.in_memory(), MemoryObjects())
    stores.of(DEFAULT_PROJECT).jobs.create(TRAIN_REQUEST)
    claim = stores.leases.claim(JobKind.TRAIN, "host:1")
    assert claim is not None
    stores.seats.offer(claim.lease, "127.0.0.1:1", "run", 1)
    return stores


def taken(stores: Stores, skipped: SkippedSeats) -> Seat | None:
    seat = stores.seats.take([JobKind.TRAIN], "host:2", skipped.jobs())
    if seat is not None:
        stores.seats.leave(seat.id)
    return seat


@pytest.mark.parametrize("of_use", [True, False])
def test_a_worker_takes_a_seat_again_only_if_it_was_of_use(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, of_use: bool
) -> None:
    takes: list[Seat] = []
    again = Event()

    def run_seat(worker: Worker, seat: Seat) -> bool:
        stores.seats.leave(seat.id)
        takes.append(seat)
        if len(takes) > 1:
            again.set()
            worker.drain()
        return of_use

    monkeypatch.setattr(Worker, "_run_seat", run_seat)
    worker = Worker({JobKind.TRAIN: train}, stores, Busy(), seats={JobKind.TRAIN: take_part})
    worker.start()

    assert again.wait(10 if of_use else 0.3) == of_use
    worker.drain()
    worker.join()
    assert len(takes) == (2 if of_use else 1)


def test_a_seat_is_skipped_for_some_minutes_under_the_same_leader(stores: Stores) -> None:
    now = 0.0
    skipped = SkippedSeats(lambda: now)
    seat = taken(stores, skipped)
    assert seat is not None

    skipped.add(seat)
    assert taken(stores, skipped) is None
    assert skipped.jobs() == {(seat.job.id, seat.fence)}

    now = SKIP_S
    assert taken(stores, skipped) is not None
