"""The collector: deletes the objects of attempts that nothing refers to and no attempt may still write."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, select

from contract.artifacts import Bucket, attempt_prefix
from contract.jobs import LIVE
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.references import register_missing
from services.storage.tables import jobs, object_references

BATCH = 1000  # objects


class Collector:
    """Collects the bucket of jobs; uploads are left alone.

    Any number of collectors may run at once, since deleting an object twice does no harm. Objects stay for `grace`
    after they were written, by the object store's clock.
    """

    def __init__(self, database: Database, objects: Objects, grace: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._grace = grace

    def collect(self) -> int:
        """Delete what is not needed and return how many objects that was; raises ObjectsUnavailable."""
        latest = self._database.now() - self._grace
        keys = [
            entry.key
            for entry in self._objects.entries(Bucket.JOBS)
            if entry.modified_at <= latest and _attempt_of(entry.key)
        ]
        # The order matters: an attempt that starts after the listing was not listed, one that is running is kept, and
        # one that has published before it could be seen running is in the registry by the time that is read.
        with self._database.read() as connection:
            running = _running(connection)
        with self._database.write() as connection:
            register_missing(connection)
        candidates = [key for key in keys if _attempt_of(key) not in running]
        return sum(self._delete(candidates[start : start + BATCH]) for start in range(0, len(candidates), BATCH))

    def _delete(self, keys: list[str]) -> int:
        """Delete those of the keys that the registry does not name."""
        with self._database.read() as connection:
            referenced = _referenced(connection, keys)
        unused = [key for key in keys if key not in referenced]
        self._objects.remove(Bucket.JOBS, unused)
        return len(unused)


def _referenced(connection: Connection, keys: Collection[str]) -> set[str]:
    """The keys that the registry names."""
    table = object_references.c
    query = select(table.key).where(table.bucket == Bucket.JOBS, table.key.in_(keys))
    return set(connection.execute(query).scalars())


def _running(connection: Connection) -> set[str]:
    """The folders of the attempts that may still be writing."""
    query = select(jobs.c.id, jobs.c.fence).where(jobs.c.state.in_(LIVE))
    return {attempt_prefix(job_id, fence) for job_id, fence in connection.execute(query)}


def _attempt_of(key: str) -> str | None:
    """The folder of the attempt that wrote an object, ending in '/'; None for an object of any other kind."""
    parts = key.split("/")
    return "/".join(parts[:3]) + "/" if len(parts) > 3 and parts[1] == "attempts" else None
