"""The repairs: abandoned jobs run again, late ones expire, bells that were lost are rung once more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import and_, case, delete, func, insert, select, update

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind, JobState
from services.storage.leases import BACKOFF_S
from services.storage.session import Database
from services.storage.tables import jobs, outbox

RING_AGAIN = timedelta(seconds=30)
BATCH = 200

Ring = Callable[[JobKind, str], None]


@dataclass(frozen=True)
class Repairs:
    """How many jobs one pass touched."""

    requeued: int
    failed: int
    cancelled: int
    expired: int
    rung: int


class Reconciler:
    """Any number of these may run at once: every repair is one guarded UPDATE."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def relay(self, ring: Ring) -> int:
        """Ring for the oldest outbox entries and forget them; stops at BrokerUnavailable, for the next call to go on.

        An entry is forgotten after its bell was sent, so a crash in between rings twice, which does no harm.
        """
        with self._database.read() as connection:
            waiting = connection.execute(select(outbox).order_by(outbox.c.id).limit(BATCH)).all()
        rung: list[int] = []
        for entry in waiting:
            try:
                ring(JobKind(entry.kind), entry.job_id)
            except BrokerUnavailable:
                break
            rung.append(entry.id)
        if rung:
            with self._database.write() as connection:
                connection.execute(delete(outbox).where(outbox.c.id.in_(rung)))
        return len(rung)

    def oldest_queued_seconds(self) -> dict[JobKind, float]:
        """How long the longest waiting due job of each kind has waited; 0 where none waits."""
        now = self._database.now()
        waiting = (
            select(jobs.c.kind, func.min(jobs.c.run_at))
            .where(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now)
            .group_by(jobs.c.kind)
        )
        with self._database.read() as connection:
            since = {JobKind(kind): oldest for kind, oldest in connection.execute(waiting)}
        return {kind: (now - since[kind]).total_seconds() if kind in since else 0.0 for kind in JobKind}

    def repair(self) -> Repairs:
        """One pass over the jobs table."""
        now = self._database.now()
        live = jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING))
        abandoned = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)
        lost = {"error_code": "worker_lost", "error_message": "the worker that ran the job is gone"}
        ended = {"finished_at": now, "lease_until": None}
        failures = jobs.c.failures + 1
        with self._database.write() as connection:
            cancelled = connection.execute(
                update(jobs).where(abandoned, jobs.c.cancel_requested).values(state=JobState.CANCELLED, **ended)
            )
            expired = connection.execute(
                update(jobs)
                .where(live, jobs.c.deadline_at < now)
                .values(
                    state=JobState.EXPIRED,
                    fence=jobs.c.fence + 1,
                    error_code="expired",
                    error_message="the job's deadline passed",
                    **ended,
                )
            )
            failed = connection.execute(
                update(jobs)
                .where(abandoned, failures >= jobs.c.max_attempts)
                .values(state=JobState.FAILED, failures=failures, **lost, **ended)
            )
            requeued = connection.execute(
                update(jobs)
                .where(abandoned)
                .values(
                    state=JobState.QUEUED,
                    failures=failures,
                    lease_until=None,
                    run_at=case((jobs.c.failures == 0, now), else_=now + timedelta(seconds=BACKOFF_S)),
                    rung_at=now - RING_AGAIN,
                    **lost,
                )
            )
            silent = (
                select(jobs.c.id, jobs.c.kind)
                .where(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now, jobs.c.rung_at <= now - RING_AGAIN)
                .where(jobs.c.id.not_in(select(outbox.c.job_id)))  # one bell a job waits out a long outage
                .order_by(jobs.c.priority.desc(), jobs.c.id)
                .limit(BATCH)
            )
            bells = connection.execute(silent).all()
            if bells:
                connection.execute(insert(outbox), [{"job_id": bell.id, "kind": bell.kind} for bell in bells])
                connection.execute(update(jobs).where(jobs.c.id.in_([b.id for b in bells])).values(rung_at=now))
        return Repairs(requeued.rowcount, failed.rowcount, cancelled.rowcount, expired.rowcount, len(bells))
