"""The quotas of a project that the database can tell: uploads, stored bytes, live jobs, replica-seconds of a month.

The functions raise QuotaExceeded; `quotas` are those of the project, None if it has none.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select, true

from contract.artifacts import Bucket
from contract.errors import QuotaExceeded
from contract.jobs import LIVE, JobState
from contract.projects import Quotas
from services.storage.jobs.counts import queued_jobs
from services.storage.pools.usage import month_of, seconds_used
from services.storage.tables import (
    backbone_versions,
    dataset_versions,
    features,
    in_state,
    jobs,
    model_versions,
    projects,
    uploads,
)

RETRY_LIVE_JOBS_S = 10
RETRY_STORED_S = 60  # deleted objects are collected after some time
RETRY_UPLOAD_S = 3600  # only another quota helps
EXEMPT = frozenset({"erase", "purge"})  # kinds of jobs that free what is stored
DOCUMENTS = (  # that refer to objects of the bucket of jobs, and when they do
    (dataset_versions.c.manifest, true()),
    (model_versions.c.manifest, true()),
    (backbone_versions.c.manifest, true()),
    (features.c.file, true()),
    (jobs.c.output, true()),
    (jobs.c.checkpoint, jobs.c.state.in_(LIVE)),
)


def admit_job(connection: Connection, project: str, kind: str, quotas: Quotas | None, now: datetime) -> None:
    """Refuse a job if the project has too many, or has used up its replica-seconds or its bytes.

    The caller inserts the job in the same transaction. A lock makes simultaneous submissions see each other's jobs.
    """
    if quotas is not None and kind not in EXEMPT:
        _lock(connection, project)
        check_job(connection, project, quotas, now)


def check_job(connection: Connection, project: str, quotas: Quotas, now: datetime) -> None:
    """Like `admit_job`, without the lock."""
    if quotas.live_jobs is not None:
        room = quotas.live_jobs - queued_jobs(connection, project)
        running = select(jobs.c.id).where(jobs.c.project == project, in_state(jobs, JobState.RUNNING))
        whole = running.where(jobs.c.parent_id.is_(None))
        if room <= 0 or connection.execute(whole.limit(1).offset(room - 1)).first() is not None:
            raise QuotaExceeded(
                f"the project's quota live_jobs is {quotas.live_jobs}, and as many are queued or running; try again "
                "when one has ended, or cancel one",
                "live_jobs",
                RETRY_LIVE_JOBS_S,
            )
    if quotas.replica_seconds_per_month is not None:
        first, last = month_of(now)
        require_replica_seconds(quotas, seconds_used(connection, project, first, last), now)
    _require_room(connection, project, quotas, 0)


def admit_upload(connection: Connection, project: str, quotas: Quotas | None, size: int) -> None:
    """Refuse a file of this size if it is over a quota; the caller inserts its row in the same transaction."""
    if quotas is not None:
        _lock(connection, project)
        check_upload(connection, project, quotas, size)


def check_upload(connection: Connection, project: str, quotas: Quotas, size: int) -> None:
    """Like `admit_upload`, without the lock; `size` may be that of several files."""
    if quotas.upload_bytes is not None and size > quotas.upload_bytes:
        raise QuotaExceeded(
            f"the project's quota upload_bytes is {quotas.upload_bytes}, and this upload has {size}; upload less at "
            "once, or ask the instance's admin for more",
            "upload_bytes",
            RETRY_UPLOAD_S,
        )
    _require_room(connection, project, quotas, size)


def require_replica_seconds(quotas: Quotas, used: float, now: datetime) -> None:
    """Refuse more work if the seconds that a project has used this month are as many as its quota."""
    limit = quotas.replica_seconds_per_month
    if limit is None or used < limit:
        return
    following = _next_month(now)
    raise QuotaExceeded(
        f"the project's quota replica_seconds_per_month is {limit}, and {used:.0f} are used; the next month begins at "
        f"{following:%Y-%m-%dT%H:%MZ}",
        "replica_seconds_per_month",
        max(1, round((following - now).total_seconds())),
    )


def stored_bytes(connection: Connection, project: str) -> int:
    """Return the bytes of a project's uploads, announced ones included, and of all objects that it refers to."""
    total = connection.execute(select(func.sum(uploads.c.size)).where(uploads.c.project == project)).scalar() or 0
    sizes: dict[str, int] = {}
    for column, kept in DOCUMENTS:
        query = select(column).where(column.table.c.project == project, column.is_not(None), kept)
        for document in connection.execute(query).scalars():
            sizes.update(_sizes(document))
    return int(total) + sum(sizes.values())


def _require_room(connection: Connection, project: str, quotas: Quotas, more: int) -> None:
    if quotas.stored_bytes is None:
        return
    used = stored_bytes(connection, project)
    if used + more > quotas.stored_bytes:
        raise QuotaExceeded(
            f"the project's quota stored_bytes is {quotas.stored_bytes}, and {used} are stored or announced"
            f"{f', so there is no room for {more} more' if more else ''}; delete versions that are not needed",
            "stored_bytes",
            RETRY_STORED_S,
        )


def _lock(connection: Connection, project: str) -> None:
    connection.execute(select(projects.c.name).where(projects.c.name == project).with_for_update(key_share=True))


def _sizes(document: Any) -> Iterator[tuple[str, int]]:
    """Yield the key and the size of each object of the bucket of jobs that a document refers to."""
    if isinstance(document, list):
        for item in document:
            yield from _sizes(item)
    elif isinstance(document, dict):
        if document.get("bucket") == Bucket.JOBS and isinstance(document.get("size"), int):
            yield document["key"], document["size"]
        for item in document.values():
            yield from _sizes(item)


def _next_month(now: datetime) -> datetime:
    day = now.astimezone(UTC)
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)
