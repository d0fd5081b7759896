"""The usage of replicas: seconds by day, pool, purpose, model and job."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from contract.access import DEFAULT_PROJECT
from contract.usage import Purpose, Usage, UsageBy, UsageLine, Use
from services.storage.database import Database
from services.storage.pools.history import Limit, limits
from services.storage.pools.pools import PoolSetting
from services.storage.tables import pools, usage

DAY = timedelta(days=1)
KEYS = {UsageBy.DAY: usage.c.day, UsageBy.POOL: usage.c.pool, UsageBy.MODEL: usage.c.model, UsageBy.JOB: usage.c.job}
SPENT = (Purpose.JOB, Purpose.ONLINE)  # on behalf of a project
WHOLE = (UsageBy.DAY, UsageBy.POOL)  # their lines include the time of idle replicas


class UsageLedger:
    """The usage table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, pool: str, gpu: bool, seconds: Mapping[Use, float]) -> None:
        """Add seconds to today's rows, in one transaction; raises DatabaseUnavailable, Conflict."""
        today = self._database.now().date()
        with self._database.write() as connection:
            for use, spent in seconds.items():
                key = {"day": today, "pool": pool, "gpu": gpu, **vars(use)}
                statement = update(usage).where(*(usage.c[name] == value for name, value in key.items()))
                if not connection.execute(statement.values(seconds=usage.c.seconds + spent)).rowcount:
                    connection.execute(insert(usage).values(key | {"seconds": spent}))

    def used_this_month(self, project: str) -> float:
        """Return the replica-seconds of a project's jobs and online predictions in this calendar month, in UTC."""
        with self._database.read() as connection:
            return seconds_used(connection, project, *month_of(self._database.now()))

    def sums(self, project: str, since: date, until: date, by: UsageBy, limit: int) -> Usage:
        """Sum a project's usage from `since` to `until`, both included: by day or pool, or of costly models or jobs.

        Idle replicas belong to no project; the default one has their lines.
        """
        key = KEYS[by]
        columns = (key.label("key"), usage.c.purpose, usage.c.gpu)
        seconds, days = func.sum(usage.c.seconds), usage.c.day.between(since, until) & (usage.c.project == project)
        sums = select(*columns, seconds.label("seconds")).where(days)
        if by not in WHOLE:
            costliest = select(key).where(days, key != "").group_by(key).order_by(seconds.desc(), key).limit(limit)
            sums = sums.where(key.in_(costliest))
        with self._database.read() as connection:
            sum_rows = connection.execute(sums.group_by(*columns)).all()
            settings = [PoolSetting.of(row) for row in connection.execute(select(pools)).mappings()]
            permitted = limits(connection)
        rows: dict[str, list[Row[Any, Any, Any, Any]]] = defaultdict(list)
        for row in sum_rows:
            rows[str(row.key)].append(row)
        if by in WHOLE and project == DEFAULT_PROJECT:
            at_max = _at_max(settings, permitted, since, until, by, self._database.now())
            lines = [_whole(name, rows[name], at_max.get(name, 0.0)) for name in sorted(rows.keys() | at_max.keys())]
        else:
            parts = (_part(name, rows[name]) for name in sorted(rows))
            lines = list(parts) if by in WHOLE else sorted(parts, key=lambda line: -line.jobs_s - line.online_s)
        return Usage(since=since, until=until, by=by, items=tuple(lines))


def month_of(now: datetime) -> tuple[date, date]:
    """Return the first day of the month, and today."""
    today = now.astimezone(UTC).date()
    return today.replace(day=1), today


def seconds_used(connection: Connection, project: str, since: date, until: date) -> float:
    """Return the replica-seconds of a project's jobs and online predictions, from `since` to `until`."""
    of_project = (usage.c.project == project) & usage.c.day.between(since, until) & usage.c.purpose.in_(SPENT)
    return float(connection.execute(select(func.sum(usage.c.seconds)).where(of_project)).scalar() or 0.0)


def _whole(key: str, rows: Sequence[Row[Any, Any, Any, Any]], at_max_s: float) -> UsageLine:
    ready = [row for row in rows if row.purpose == Purpose.READY]
    return UsageLine(
        key=key,
        ready_s=sum(row.seconds for row in ready),
        jobs_s=_spent(rows, Purpose.JOB),
        online_s=_spent(rows, Purpose.ONLINE),
        gpu_s=sum(row.seconds for row in ready if row.gpu),
        at_max_s=at_max_s,
    )


def _part(key: str, rows: Sequence[Row[Any, Any, Any, Any]]) -> UsageLine:
    return UsageLine(
        key=key,
        ready_s=None,
        jobs_s=_spent(rows, Purpose.JOB),
        online_s=_spent(rows, Purpose.ONLINE),
        gpu_s=sum(row.seconds for row in rows if row.gpu),
        at_max_s=None,
    )


def _spent(rows: Sequence[Row[Any, Any, Any, Any]], purpose: Purpose) -> float:
    return float(sum(row.seconds for row in rows if row.purpose == purpose))


def _at_max(
    settings: Sequence[PoolSetting],
    limits: Mapping[str, Sequence[Limit]],
    since: date,
    until: date,
    by: UsageBy,
    now: datetime,
) -> dict[str, float]:
    """Return the replica-seconds by day or pool if each pool had always run the maximum that held at the time."""
    seconds: dict[str, float] = defaultdict(float)
    for setting in settings:
        steps = [Limit(setting.created_at, setting.most), *limits.get(setting.name, ())]
        for ordinal in range(since.toordinal(), min(until, now.date()).toordinal() + 1):
            begins = datetime.combine(date.fromordinal(ordinal), time(), UTC)
            start, end = max(begins, setting.created_at), min(begins + DAY, now)
            if start < end:
                seconds[str(begins.date()) if by is UsageBy.DAY else setting.name] += _permitted(steps, start, end)
    return seconds


def _permitted(steps: Sequence[Limit], start: datetime, end: datetime) -> float:
    """Return the replica-seconds that the limits have permitted between two moments."""
    seconds = 0.0
    for number, step in enumerate(steps):
        following = steps[number + 1].at if number + 1 < len(steps) else end
        held = min(following, end) - max(step.at, start)
        seconds += step.most * max(0.0, held.total_seconds())
    return seconds
