"""The reconciler: requeues abandoned jobs, ends late and failed ones, and sends wake-up messages from the outbox."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from contract.errors import BrokerUnavailable, WorkerLost
from contract.jobs import LIVE, JobKind, JobState
from services.storage.database import Database
from services.storage.jobs.counts import fold
from services.storage.jobs.events import record_state
from services.storage.jobs.leases import BACKOFF_S
from services.storage.jobs.parts import cancel_parts, fail_parent
from services.storage.jobs.rows import ended, wake_parent
from services.storage.pools.queues import oldest_due
from services.storage.sweep.locking import lock_free
from services.storage.tables import UtcDateTime, idempotency, in_state, jobs, outbox

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
    """Repairs jobs. Any number of reconcilers may run at once: every repair is one guarded UPDATE.

    A job that another transaction is changing is left to the next pass; see `lock_free`.
    """

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
        with self._database.read() as connection:
            since = oldest_due(connection, now)
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
            for parent in lock_free(connection, connection.execute(_FORGOTTEN).scalars().all()):
                wake_parent(connection, parent, now)
            woken = _wake_again(connection, now)
            fold(connection)
            connection.execute(delete(idempotency).where(idempotency.c.created_at < now - IDEMPOTENT_FOR))
        return Repairs(len(requeued), len(failed), len(cancelled), len(expired), woken)


def _cancel(connection: Connection, now: datetime) -> list[RowMapping]:
    """End jobs whose worker has not stopped in time after a cancellation or is lost, and live parts of ended jobs.

    Incrementing the fence takes the job from a worker that still runs it.
    """
    overdue = and_(in_state(jobs, JobState.RUNNING), jobs.c.cancel_requested_at < now - CANCEL_WITHIN)
    abandoned = and_(_abandoned(now), jobs.c.cancel_requested)
    values = ended(JobState.CANCELLED, now) | {"fence": jobs.c.fence + 1}
    rows = _update(connection, or_(overdue, abandoned), values, now)
    for name, orphaned in _ORPHANED.items():
        if parents := connection.execute(orphaned).scalars().all():
            rows += _update(connection, and_(in_state(jobs, *LIVE), jobs.c[name].in_(parents)), values, now)
    return rows


def _expire(connection: Connection, now: datetime) -> list[RowMapping]:
    late = and_(in_state(jobs, *LIVE), jobs.c.deadline_at < now)
    reason = {"error_code": JobState.EXPIRED, "error_message": "the job's deadline passed"}
    return _update(connection, late, ended(JobState.EXPIRED, now) | {"fence": jobs.c.fence + 1} | reason, now)


def _recover(connection: Connection, now: datetime) -> tuple[list[RowMapping], list[RowMapping]]:
    """Charge a failure to each abandoned job: fail those without attempts left, requeue the others."""
    failures = jobs.c.failures + 1
    reason = {"error_code": WorkerLost.code, "error_message": "the worker that ran the job is gone"}
    abandoned = and_(_abandoned(now), jobs.c.cancel_requested.is_(False))
    exhausted = and_(abandoned, failures >= jobs.c.max_attempts)
    failed = _update(connection, exhausted, ended(JobState.FAILED, now) | {"failures": failures} | reason, now)
    queued: dict[str, Any] = {"state": JobState.QUEUED, "lease_until": None, "woken_at": now - WAKE_AGAIN}
    queued |= {"run_at": case((jobs.c.failures == 0, now), else_=now + timedelta(seconds=BACKOFF_S))}
    again = and_(abandoned, failures < jobs.c.max_attempts)
    return failed, _update(connection, again, queued | {"failures": failures} | reason, now)


def _abandoned(now: datetime) -> ColumnElement[bool]:
    return and_(in_state(jobs, JobState.RUNNING), jobs.c.lease_until < now)


def _update(
    connection: Connection, where: ColumnElement[bool], values: dict[str, Any], now: datetime
) -> list[RowMapping]:
    free = lock_free(connection, connection.execute(select(jobs.c.id).where(where)).scalars().all())
    rows: list[RowMapping] = []
    for start in range(0, len(free), BATCH):
        batch = jobs.c.id.in_(free[start : start + BATCH])
        changed = update(jobs).where(batch, where).values(values).returning(jobs)
        rows += connection.execute(changed).mappings()
    for row in rows:
        record_state(connection, row, now)
    return rows


def _wake_again(connection: Connection, now: datetime) -> int:
    """Queue a wake-up message for due jobs that no worker took since the last one; return how many.

    At most BATCH of each kind, those with the oldest message first, and none of a kind that already has BATCH in the
    outbox. A wake-up message makes a worker claim the best job of its kinds, whichever job the message is about.
    """
    rows: list[Row[str, str]] = []
    for kind in JobKind:
        unsent = select(outbox.c.id).where(outbox.c.kind == kind).limit(1).offset(BATCH - 1)
        if connection.execute(unsent).first() is None:
            values = {"kind": kind, "now": now, "last": now - WAKE_AGAIN}
            rows += connection.execute(_SILENT, values).all()
    if rows:
        connection.execute(insert(outbox), [{"job_id": row.id, "kind": row.kind} for row in rows])
        connection.execute(update(jobs).where(jobs.c.id.in_([row.id for row in rows])).values(woken_at=now))
    return len(rows)


def _silent() -> Select[str, str]:
    now, last = (bindparam(name, type_=UtcDateTime) for name in ("now", "last"))
    due = and_(in_state(jobs, JobState.QUEUED), jobs.c.run_at <= now, jobs.c.woken_at <= last)
    waits = exists().where(outbox.c.job_id == jobs.c.id)  # in a long outage, one message a job is enough
    silent = select(jobs.c.id, jobs.c.kind).where(due, jobs.c.kind == bindparam("kind"), ~waits)
    return silent.order_by(jobs.c.woken_at).limit(BATCH).with_for_update(skip_locked=True)


def _orphaned(name: str) -> Select[str]:
    """Select the jobs that have ended and have live parts or children; `name` is the column that names the parent.

    The parents of live parts are read one after the other from an index, so that the query reads neither all parts nor
    all jobs.
    """
    part = jobs.alias("part")
    parent = part.c[name]
    live = and_(in_state(part, *LIVE), parent.is_not(None))
    parents = select(select(func.min(parent)).where(live).scalar_subquery().label("id")).cte(recursive=True)
    following = select(func.min(parent)).where(live, parent > parents.c.id).scalar_subquery()
    parents = parents.union_all(select(following).where(parents.c.id.is_not(None)))
    return select(jobs.c.id).join(parents, parents.c.id == jobs.c.id).where(jobs.c.state.not_in(LIVE))


def _forgotten() -> Select[str]:
    """Select the jobs that wait for children, although all have ended.

    A child that ends while its parent's attempt begins to wait may see the parent as running, and not wake it.
    """
    child = jobs.alias("child")
    open_child = exists().where(child.c.child_of == jobs.c.id, in_state(child, *LIVE))
    waits = and_(in_state(jobs, JobState.RUNNING), jobs.c.lease_until.is_(None), jobs.c.children.is_not(None))
    return select(jobs.c.id).where(waits, ~open_child)


_FORGOTTEN = _forgotten()
_SILENT, _ORPHANED = _silent(), {name: _orphaned(name) for name in ("parent_id", "child_of")}
