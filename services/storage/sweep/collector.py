"""The collector: deletes the objects of ended attempts that nothing refers to."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import Connection, select

from contract.artifacts import Bucket, attempt_of, attempt_prefix
from contract.jobs import LIVE
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.references import register_missing
from services.storage.tables import jobs, object_references

BATCH = 1000  # objects


class Collector:
    """Deletes unreferenced objects from the bucket of jobs, but no uploads.

    Any number of collectors may run at once, since deleting an object twice does no harm. Objects stay for `grace`
    after they were written, by the object store's clock.
    """

    def __init__(self, database: Database, objects: Objects, grace: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._grace = grace

    def collect(self) -> int:
        """Delete the objects that are not needed, and return their number; raises ObjectsUnavailable."""
        latest = self._database.now() - self._grace
        keys = [
            entry.key
            for entry in self._objects.entries(Bucket.JOBS)
            if entry.modified_at <= latest and attempt_of(entry.key)
        ]
        self._database.confirm_primary()  # a primary that was replaced lacks the newest references
        # The order matters. Objects of an attempt that starts after the listing are not in it. Those of a running one
        # are kept. An attempt that published before the query is in the registry, which is read last.
        with self._database.read() as connection:
            running = running_attempts(connection)
        with self._database.write() as connection:
            register_missing(connection)
        candidates = [key for key in keys if attempt_of(key) not in running]
        return sum(self._delete(candidates[start : start + BATCH]) for start in range(0, len(candidates), BATCH))

    def _delete(self, keys: list[str]) -> int:
        """Delete the keys that are not in the registry; return how many."""
        with self._database.read() as connection:
            referenced = _referenced(connection, keys)
        unused = [key for key in keys if key not in referenced]
        self._objects.remove(Bucket.JOBS, unused)
        return len(unused)


def _referenced(connection: Connection, keys: Collection[str]) -> set[str]:
    """Return the keys that are in the registry."""
    table = object_references.c
    query = select(table.key).where(table.bucket == Bucket.JOBS, table.key.in_(keys))
    return set(connection.execute(query).scalars())


def running_attempts(connection: Connection) -> set[str]:
    """Return the folders of the attempts that may still be writing."""
    query = select(jobs.c.id, jobs.c.fence, jobs.c.project).where(jobs.c.state.in_(LIVE))
    return {attempt_prefix(*row) for row in connection.execute(query)}
