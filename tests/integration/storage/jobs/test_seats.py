"""Seats of a training that several replicas share."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from contract.errors import Cancelled, LeaseLost
from contract.jobs import Job, JobKind
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import LEASE, Lease
from services.storage.jobs.seats import Seat, Seats
from services.storage.pools.pools import Pools
from services.storage.pools.queues import JobHolders
from tests.examples import TRAIN_REQUEST
from tests.integration.storage.steps import claimed
from tests.support.clock import FakeClock

ENDPOINT = "10.0.0.1:29400"


@pytest.fixture
def job(jobs: Jobs) -> Job:
    return jobs.create(TRAIN_REQUEST)


@pytest.fixture
def lease(leases: Leases, job: Job) -> Lease:
    return claimed(leases, JobKind.TRAIN).lease


@pytest.fixture
def seats(database: Database, lease: Lease) -> Seats:
    """Two seats, offered under the lease."""
    seats = Seats(database)
    seats.offer(lease, ENDPOINT, f"{lease.job_id}:1:0", 2)
    return seats


def take(seats: Seats, worker: str = "host:2") -> Seat | None:
    return seats.take([JobKind.TRAIN], worker)


def taken(seats: Seats, worker: str = "host:2") -> Seat:
    seat = take(seats, worker)
    assert seat is not None
    return seat


def test_no_more_seats_are_taken_than_offered(seats: Seats, lease: Lease) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda number: take(seats, f"host:{number}"), range(4)))

    assert sorted(seat is not None for seat in results) == [False, False, True, True]
    assert {(seat.job.id, seat.endpoint, seat.fence) for seat in results if seat} == {(lease.job_id, ENDPOINT, 1)}


def test_a_seat_that_is_left_or_not_renewed_is_free_again(
    seats: Seats, leases: Leases, lease: Lease, clock: FakeClock
) -> None:
    seats.leave(taken(seats).id)
    taken(seats)
    clock.tick(LEASE.total_seconds() / 2)
    leases.renew(lease)
    taken(seats)
    assert take(seats) is None

    clock.tick(LEASE.total_seconds() / 2 + 1)

    assert take(seats) is not None
    assert take(seats) is None


def test_seats_are_ready_when_their_replica_says_so(seats: Seats, lease: Lease) -> None:
    seat = taken(seats, "host:3")
    assert seats.ready_workers(lease) == frozenset()

    seats.ready(seat.id)
    seats.renew(seat.id)

    assert seats.ready_workers(lease) == {"host:3"}


def test_seats_end_when_another_attempt_leads(seats: Seats, leases: Leases, lease: Lease) -> None:
    seat = taken(seats)
    leases.release(lease)
    with pytest.raises(LeaseLost):
        seats.renew(seat.id)

    again = claimed(leases, JobKind.TRAIN).lease

    assert take(seats) is None
    with pytest.raises(LeaseLost):
        seats.ready(seat.id)
    with pytest.raises(LeaseLost):
        seats.offer(lease, ENDPOINT, "stale", 2)
    seats.withdraw(lease)
    seats.offer(again, ENDPOINT, "new", 1)
    assert taken(seats).fence == again.fence
    assert seats.ready_workers(again) == frozenset()


def test_seats_of_a_cancelled_job_are_not_taken_and_end(seats: Seats, jobs: Jobs, job: Job) -> None:
    seat = taken(seats)

    jobs.cancel(job.id)

    assert take(seats) is None
    with pytest.raises(Cancelled):
        seats.renew(seat.id)


def test_seats_that_are_withdrawn_end(seats: Seats, lease: Lease) -> None:
    seat = taken(seats)

    seats.withdraw(lease)

    assert take(seats) is None
    with pytest.raises(LeaseLost):
        seats.renew(seat.id)


def test_free_seats_are_demand_and_taken_ones_run(seats: Seats, database: Database) -> None:
    before = Pools(database).queues()["trainer"]
    taken(seats, "host:2")
    after = Pools(database).queues()["trainer"]

    assert (before.waiting, before.running) == (2, 1)
    assert (after.waiting, after.running) == (1, 2)
    assert JobHolders(database).in_seats() == {"host:2"}
    assert JobHolders(database).names() == {"worker"}


def test_of_two_jobs_that_wait_for_each_other_the_newer_one_gives_way(
    seats: Seats, jobs: Jobs, leases: Leases, lease: Lease, clock: FakeClock
) -> None:
    # given two that lead, each with a free seat
    assert not seats.contended(lease)
    jobs.create(TRAIN_REQUEST)
    assert seats.contended(lease)
    newer = claimed(leases, JobKind.TRAIN).lease
    seats.offer(newer, ENDPOINT, f"{newer.job_id}:1:0", 2)

    assert (seats.contended(lease), seats.contended(newer)) == (False, True)

    # when the newer one gives way, then it is not due at once, and is charged no failure
    leases.release(newer, 60)
    assert leases.claim(JobKind.TRAIN, "host:2") is None
    assert taken(seats).job.id == lease.job_id
    clock.tick(61)
    leases.renew(lease)
    assert claimed(leases, JobKind.TRAIN).job.id == newer.job_id
