"""The reconciler: requeues abandoned jobs, ends late and failed ones, and sends wake-up messages from the outbox."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, delete, func, insert, or_, select, update

from contract.errors import BrokerUnavailable, WorkerLost
from contract.jobs import LIVE, JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.events import record_state
from services.storage.jobs.leases import BACKOFF_S
from services.storage.jobs.parts import cancel_parts, fail_parent
from services.storage.jobs.rows import ended
from services.storage.tables import idempotency, jobs, outbox

WAKE_AGAIN = timedelta(seconds=30)
CANCEL_WITHIN = timedelta(seconds=12)
IDEMPOTENT_FOR = timedelta(hours=24)
BATCH = 200

Wake = Callable[[JobKind, str], None]


@dataclass(frozen=True)
class Repairs:
    """The numbers of jobs that one pass changed; `woken` counts those whose wake-up message is sent again."""

    requeued: int
    failed: int
    cancelled: int
    expired: int
    woken: int


class Reconciler:
    """Repairs jobs. Any number of reconcilers may run at once: every repair is one guarded UPDATE."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def relay(self, wake: Wake) -> int:
        """Send the wake-up messages of the oldest outbox entries, delete these entries, and return their number.

        Stops at BrokerUnavailable; the next call continues. An entry is deleted after its message was sent, so a crash
        in between sends it twice, which is harmless.
        """
        with self._database.read() as connection:
            entries = connection.execute(select(outbox).order_by(outbox.c.id).limit(BATCH)).all()
        sent: list[int] = []
        for entry in entries:
            try:
                wake(JobKind(entry.kind), entry.job_id)
            except BrokerUnavailable:
                break
            sent.append(entry.id)
        if sent:
            with self._database.write() as connection:
                connection.execute(delete(outbox).where(outbox.c.id.in_(sent)))
        return len(sent)

    def oldest_queued_seconds(self) -> dict[JobKind, float]:
        """Return how many seconds the oldest due job of each kind has waited; 0 if none waits."""
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
        """Make one pass over the jobs table, and delete idempotency keys after a day."""
        now = self._database.now()
        with self._database.write() as connection:
            cancelled, expired = _cancel(connection, now), _expire(connection, now)
            failed, requeued = _recover(connection, now)
            for row in failed:
                if row["parent_id"] is not None:
                    fail_parent(connection, row)
            for row in cancelled + expired + failed:
                cancel_parts(connection, row["id"], now)
            woken = _wake_again(connection, now)
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - IDEMPOTENT_FOR))
        return Repairs(len(requeued), len(failed), len(cancelled), len(expired), woken)


def _cancel(connection: Connection, now: datetime) -> list[RowMapping]:
    """End jobs whose worker has not stopped in time after a cancellation or is lost, and live parts of ended jobs.

    Incrementing the fence takes the job from a worker that still runs it.
    """
    overdue = and_(jobs.c.state == JobState.RUNNING, jobs.c.cancel_requested_at < now - CANCEL_WITHIN)
    abandoned = and_(_abandoned(now), jobs.c.cancel_requested)
    over = select(jobs.c.id).where(jobs.c.state.not_in(LIVE)).scalar_subquery()
    orphaned = and_(jobs.c.state.in_(LIVE), or_(jobs.c.parent_id.in_(over), jobs.c.child_of.in_(over)))
    values = ended(JobState.CANCELLED, now) | {"fence": jobs.c.fence + 1}
    rows = _update(connection, or_(overdue, abandoned), values, now)
    return rows + _update(connection, orphaned, values, now)


def _expire(connection: Connection, now: datetime) -> list[RowMapping]:
    late = and_(jobs.c.state.in_(LIVE), jobs.c.deadline_at < now)
    reason = {"error_code": JobState.EXPIRED, "error_message": "the job's deadline passed"}
    return _update(connection, late, ended(JobState.EXPIRED, now) | {"fence": jobs.c.fence + 1} | reason, now)


def _recover(connection: Connection, now: datetime) -> tuple[list[RowMapping], list[RowMapping]]:
    """Charge a failure to each abandoned job: fail those without attempts left, requeue the others."""
    failures = jobs.c.failures + 1
    reason = {"error_code": WorkerLost.code, "error_message": "the worker that ran the job is gone"}
    exhausted = and_(_abandoned(now), failures >= jobs.c.max_attempts)
    failed = _update(connection, exhausted, ended(JobState.FAILED, now) | {"failures": failures} | reason, now)
    queued: dict[str, Any] = {"state": JobState.QUEUED, "lease_until": None, "woken_at": now - WAKE_AGAIN}
    queued |= {"run_at": case((jobs.c.failures == 0, now), else_=now + timedelta(seconds=BACKOFF_S))}
    return failed, _update(connection, _abandoned(now), queued | {"failures": failures} | reason, now)


def _abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(jobs.c.state == JobState.RUNNING, jobs.c.lease_until < now)


def _update(
    connection: Connection, where: ColumnElement[bool], values: dict[str, Any], now: datetime
) -> list[RowMapping]:
    rows = list(connection.execute(update(jobs).where(where).values(values).returning(jobs)).mappings())
    for row in rows:
        record_state(connection, row, now)
    return rows


def _wake_again(connection: Connection, now: datetime) -> int:
    """Queue a wake-up message for each due job that no worker took since the last one; return how many."""
    silent = (
        select(jobs.c.id, jobs.c.kind)
        .where(jobs.c.state == JobState.QUEUED, jobs.c.run_at <= now, jobs.c.woken_at <= now - WAKE_AGAIN)
        .where(jobs.c.id.not_in(select(outbox.c.job_id)))  # in a long outage, one message a job is enough
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(BATCH)
    )
    rows = connection.execute(silent).all()
    if rows:
        connection.execute(insert(outbox), [{"job_id": row.id, "kind": row.kind} for row in rows])
        connection.execute(update(jobs).where(jobs.c.id.in_([row.id for row in rows])).values(woken_at=now))
    return len(rows)
