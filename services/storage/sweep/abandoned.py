"""Collects uploads that were announced or begun and never completed, and the bytes of deleted and replaced ones."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from contract.artifacts import Bucket
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.references import Owner, drop_references
from services.storage.tables import object_references, uploads

BATCH = 1000  # rows or objects


class AbandonedUploads:
    """Deletes uploads that are not complete `after` they began, by the clocks of the database and the object store.

    An object without an upload is deleted once it is older than `grace`. Any number of collectors may run at once,
    since deleting twice does no harm.
    """

    def __init__(self, database: Database, objects: Objects, after: timedelta, grace: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._after = after
        self._grace = grace

    def collect(self) -> int:
        """Delete what was abandoned; return the number of objects and multipart uploads. Raises ObjectsUnavailable."""
        now = self._database.now()
        latest = now - self._after
        self._delete_rows(latest)
        # objects without a row: those of these rows and of deleted uploads, archives that an erasure replaced, and
        # those of gateways that stopped before they wrote the row, which happens a moment after the object is stored
        entries = self._objects.entries(Bucket.UPLOADS)
        self._database.confirm_primary()  # as in `Collector`
        old = [entry.key for entry in entries if entry.modified_at <= now - self._grace]
        count = sum(self._delete_objects(old[start : start + BATCH]) for start in range(0, len(old), BATCH))
        return count + sum(self._abort_multipart(bucket, latest) for bucket in Bucket)

    def _delete_rows(self, latest: datetime) -> None:
        abandoned = select(uploads.c.id).where(uploads.c.complete.is_(False), uploads.c.created_at <= latest)
        with self._database.write() as connection:
            query = delete(uploads).where(uploads.c.id.in_(abandoned.limit(BATCH)), uploads.c.complete.is_(False))
            ids = connection.execute(query.returning(uploads.c.id)).scalars().all()
            if ids:
                drop_references(connection, Owner.UPLOAD, *ids)

    def _delete_objects(self, keys: list[str]) -> int:
        """Delete the objects that belong to no upload and are not in the registry; return how many."""
        registry = object_references.c
        with self._database.read() as connection:
            ids = {key.rpartition("/")[2]: key for key in keys}  # keys may begin with the project
            own = select(uploads.c.id).where(uploads.c.id.in_(ids), uploads.c.file.is_(None))
            rows = connection.execute(own).scalars()
            references = select(registry.key).where(registry.bucket == Bucket.UPLOADS, registry.key.in_(keys))
            needed = {*map(ids.__getitem__, rows), *connection.execute(references).scalars()}
        unused = [key for key in keys if key not in needed]
        if unused:
            self._objects.remove(Bucket.UPLOADS, unused)
        return len(unused)

    def _abort_multipart(self, bucket: Bucket, latest: datetime) -> int:
        abandoned = [upload for upload in self._objects.unfinished(bucket) if upload.started_at <= latest]
        for upload in abandoned:
            self._objects.abort(bucket, upload)
        return len(abandoned)
