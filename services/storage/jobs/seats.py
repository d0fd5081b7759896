"""Seats of trainings on several replicas: what the leading attempt offers, and the replicas that take part.

A seat is not a job: nobody queues it again when its replica is lost. It has a lease of its own, and is valid while the
job runs under the leader's fence.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import uuid_utils
from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, insert, select, tuple_, update

from contract.errors import Cancelled, LeaseLost
from contract.jobs import Job, JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.due import first_jobs
from services.storage.jobs.rows import LEASE, Lease, change, held, job_of
from services.storage.tables import jobs, leads, outbox, seats


@dataclass(frozen=True)
class Seat:
    """A seat that a replica has taken: the job, the address of the leader's store, and the leader's fence."""

    id: str
    job: Job
    endpoint: str
    fence: int


class Seats:
    """Offer, take, renew and leave seats."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def offer(self, lease: Lease, endpoint: str, run_id: str, count: int) -> None:
        """Offer `count` seats under a lease, and wake as many replicas; replaces what was offered. Raises LeaseLost.

        `run_id` names the rendezvous: job, fence and generation.
        """
        values = {"job_id": lease.job_id, "fence": lease.fence, "endpoint": endpoint, "run_id": run_id, "seats": count}
        with self._database.write() as connection:
            row = change(connection, held(lease).values(worker=jobs.c.worker))
            earlier = connection.execute(select(leads.c.fence).where(leads.c.job_id == lease.job_id)).scalar()
            connection.execute(delete(leads).where(leads.c.job_id == lease.job_id))
            connection.execute(insert(leads).values(values))
            if earlier != lease.fence and count:
                connection.execute(insert(outbox), [{"job_id": lease.job_id, "kind": row["kind"]}] * count)

    def withdraw(self, lease: Lease) -> None:
        """Offer no more seats; those taken become invalid."""
        with self._database.write() as connection:
            of_lease = leads.c.job_id == lease.job_id, leads.c.fence == lease.fence
            if connection.execute(delete(leads).where(*of_lease)).rowcount:
                connection.execute(delete(seats).where(seats.c.job_id == lease.job_id, seats.c.fence == lease.fence))

    def take(self, kinds: Collection[str], worker: str, skip: Collection[tuple[str, int]] = ()) -> Seat | None:
        """Take a free seat of the oldest job of these kinds that has one; None if there is none.

        `skip` are jobs, with the fence of their leader, that the worker does not want.
        """
        now = self._database.now()
        with self._database.read() as connection:
            if connection.execute(_free(now, kinds, skip).limit(1)).first() is None:
                return None  # most polls end here, without a write
        with self._database.write() as connection:
            free = _free(now, kinds, skip).order_by(leads.c.job_id).limit(1).with_for_update(of=leads)
            row = connection.execute(free).mappings().one_or_none()
            if row is None:
                return None
            # Count again, now that the lock keeps other replicas from taking a seat.
            taken = connection.execute(select(_taken(now)).where(leads.c.job_id == row["id"])).scalar_one()
            if taken >= row["seats"]:
                return None
            gone = seats.c.job_id == row["id"], (seats.c.fence < row["fence"]) | (seats.c.lease_until < now)
            connection.execute(delete(seats).where(*gone))
            seat = Seat(str(uuid_utils.uuid7()), job_of(row), row["endpoint"], row["fence"])
            values = {"id": seat.id, "job_id": row["id"], "fence": seat.fence, "worker": worker, "ready": False}
            connection.execute(insert(seats).values(values | {"lease_until": now + LEASE}))
            return seat

    def renew(self, seat_id: str) -> None:
        """Extend the lease of a seat; raises LeaseLost if the leader lost the job, Cancelled if it was cancelled."""
        self._change(seat_id, lease_until=self._database.now() + LEASE)

    def ready(self, seat_id: str) -> None:
        """Note that the replica of a seat has the data and may join; raises what `renew` raises."""
        self._change(seat_id, ready=True)

    def leave(self, seat_id: str) -> None:
        """Give a seat back."""
        with self._database.write() as connection:
            connection.execute(delete(seats).where(seats.c.id == seat_id))

    def ready_workers(self, lease: Lease) -> frozenset[str]:
        """Return the names of the replicas in this lease's seats that may join, `host:pid`."""
        of_lease = seats.c.job_id == lease.job_id, seats.c.fence == lease.fence
        query = select(seats.c.worker).where(*of_lease, seats.c.ready, seats.c.lease_until >= self._database.now())
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def contended(self, lease: Lease) -> bool:
        """Return whether the replica that holds a lease has other work: a due job, or a free seat of an older job.

        Of two jobs that wait for each other's replica, only the newer one has other work.
        """
        now = self._database.now()
        with self._database.read() as connection:
            kind = connection.execute(select(jobs.c.kind).where(jobs.c.id == lease.job_id)).scalar_one()
            kinds = tuple(sorted(other for other in JobKind if other.pool == JobKind(kind).pool))
            older = _free(now, kinds, ()).where(leads.c.job_id < lease.job_id).limit(1)
            due = connection.execute(first_jobs(kinds), {"now": now}).first()
            return due is not None or connection.execute(older).first() is not None

    def workers(self) -> frozenset[str]:
        """Return the names of the replicas in any seat."""
        query = select(seats.c.worker).where(seats.c.lease_until >= self._database.now())
        with self._database.read() as connection:
            return frozenset(connection.execute(query).scalars())

    def _change(self, seat_id: str, **values: object) -> None:
        led = exists().where(
            jobs.c.id == seats.c.job_id, jobs.c.state == JobState.RUNNING, jobs.c.fence == seats.c.fence
        )
        with self._database.write() as connection:
            statement = update(seats).where(seats.c.id == seat_id, led).values(values).returning(seats.c.job_id)
            job_id = connection.execute(statement).scalar()
            if job_id is None:
                raise LeaseLost("the training goes on without this seat")
            query = select(jobs.c.cancel_requested).where(jobs.c.id == job_id)
            if connection.execute(query).scalar():
                raise Cancelled("the job was cancelled")


@dataclass(frozen=True)
class SeatCount:
    """The free and the taken seats of the running jobs of a pool."""

    free: int = 0
    taken: int = 0


def count_seats(connection: Connection, now: datetime) -> dict[str, SeatCount]:
    """Return the seats of each pool that has any."""
    query = (
        select(jobs.c.kind, func.sum(leads.c.seats), func.sum(_taken(now))).where(_offered(now)).group_by(jobs.c.kind)
    )
    rows = connection.execute(query.select_from(leads.join(jobs, jobs.c.id == leads.c.job_id))).all()
    return {JobKind(kind).pool: SeatCount(max(int(most) - int(taken), 0), int(taken)) for kind, most, taken in rows}


def _offered(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a lead is that of the attempt that runs the job."""
    current = jobs.c.state == JobState.RUNNING, jobs.c.fence == leads.c.fence, jobs.c.lease_until >= now
    return and_(*current, jobs.c.cancel_requested.is_(False))


def _taken(now: datetime) -> ColumnElement[int]:
    of_lead = seats.c.job_id == leads.c.job_id, seats.c.fence == leads.c.fence, seats.c.lease_until >= now
    return select(func.count()).select_from(seats).where(*of_lead).correlate(leads).scalar_subquery()


def _free(now: datetime, kinds: Collection[str], skip: Collection[tuple[str, int]]) -> "Select[tuple[object, ...]]":
    columns = (jobs, leads.c.endpoint, leads.c.seats)
    query = select(*columns).join_from(leads, jobs, jobs.c.id == leads.c.job_id)
    unskipped = tuple_(leads.c.job_id, leads.c.fence).not_in(skip)
    return query.where(jobs.c.kind.in_(kinds), unskipped, _offered(now), _taken(now) < leads.c.seats)
