"""The repairs: abandoned jobs run again, late ones expire, wakeups that were lost are woken once more."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, delete, func, insert, or_, select, update

from contract.errors import BrokerUnavailable, WorkerLost
from contract.jobs import LIVE, JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.leases import BACKOFF_S
from services.storage.jobs.parts import cancel_parts, fail_parent
from services.storage.jobs.rows import ended
from services.storage.jobs.states import record_state
from services.storage.tables import idempotency, jobs, outbox

WAKE_AGAIN = timedelta(seconds=30)
CANCEL_WITHIN = timedelta(seconds=12)
REMEMBER = timedelta(hours=24)  # idempotency keys
BATCH = 200

Wake = Callable[[JobKind, str], None]


@dataclass(frozen=True)
class Repairs:
    """How many jobs one pass touched."""

    requeued: int
    failed: int
    cancelled: int
    expired: int
    woken: int


class Reconciler:
    """Any number of these may run at once: every repair is one guarded UPDATE."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def relay(self, wake: Wake) -> int:
        """Wake for the oldest outbox entries and forget them; stops at BrokerUnavailable, for the next call to go on.

        An entry is forgotten after its wakeup was sent, so a crash in between rings twice, which does no harm.
        """
        with self._database.read() as connection:
            waiting = connection.execute(select(outbox).order_by(outbox.c.id).limit(BATCH)).all()
        woken: list[int] = []
        for entry in waiting:
            try:
                wake(JobKind(entry.kind), entry.job_id)
            except BrokerUnavailable:
                break
            woken.append(entry.id)
        if woken:
            with self._database.write() as connection:
                connection.execute(delete(outbox).where(outbox.c.id.in_(woken)))
        return len(woken)

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
        live = jobs.c.state.in_(LIVE)
        abandoned = and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)
        # a worker that does not obey in time, or is gone, loses the job: its fence is raised
        unheard = and_(jobs.c.state == JobState.RUNNING, jobs.c.cancel_requested_at < now - CANCEL_WITHIN)
        over = select(jobs.c.id).where(jobs.c.state.not_in(LIVE)).scalar_subquery()
        orphaned = and_(live, jobs.c.parent_id.in_(over))
        failures = jobs.c.failures + 1
        fenced: dict[str, Any] = {"fence": jobs.c.fence + 1}
        lost = {"error_code": WorkerLost.code, "error_message": "the worker that ran the job is gone"}
        late = {"error_code": JobState.EXPIRED, "error_message": "the job's deadline passed"}
        again = {"state": JobState.QUEUED, "lease_until": None, "woken_at": now - WAKE_AGAIN}
        wait = case((jobs.c.failures == 0, now), else_=now + timedelta(seconds=BACKOFF_S))
        with self._database.write() as connection:
            doomed = or_(unheard, and_(abandoned, jobs.c.cancel_requested))
            cancelled = _repair(connection, doomed, ended(JobState.CANCELLED, now) | fenced, now)
            cancelled += _repair(connection, orphaned, ended(JobState.CANCELLED, now) | fenced, now)
            overdue = and_(live, jobs.c.deadline_at < now)
            expired = _repair(connection, overdue, ended(JobState.EXPIRED, now) | fenced | late, now)
            hopeless = and_(abandoned, failures >= jobs.c.max_attempts)
            failed = _repair(connection, hopeless, ended(JobState.FAILED, now) | {"failures": failures} | lost, now)
            requeued = _repair(connection, abandoned, again | {"failures": failures, "run_at": wait} | lost, now)
            for row in failed:
                if row["parent_id"] is not None:
                    fail_parent(connection, row)
            for row in cancelled + expired + failed:
                cancel_parts(connection, row["id"], now)
            woken = _wake_again(connection, now)
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - REMEMBER))
        return Repairs(len(requeued), len(failed), len(cancelled), len(expired), woken)


def _repair(
    connection: Connection, where: ColumnElement[bool], values: dict[str, Any], now: datetime
) -> list[RowMapping]:
    rows = list(connection.execute(update(jobs).where(where).values(values).returning(jobs)).mappings())
    for row in rows:
        record_state(connection, row, now)
    return rows


def _wake_again(connection: Connection, now: datetime) -> int:
    silent = (
        select(jobs.c.id, jobs.c.kind)
        .where(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now, jobs.c.woken_at <= now - WAKE_AGAIN)
        .where(jobs.c.id.not_in(select(outbox.c.job_id)))  # one wakeup a job waits out a long outage
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(BATCH)
    )
    wakeups = connection.execute(silent).all()
    if wakeups:
        connection.execute(insert(outbox), [{"job_id": wakeup.id, "kind": wakeup.kind} for wakeup in wakeups])
        connection.execute(update(jobs).where(jobs.c.id.in_([wakeup.id for wakeup in wakeups])).values(woken_at=now))
    return len(wakeups)
