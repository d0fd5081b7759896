"""Collects uploads that were announced or begun, and never completed: their rows, bytes and parts.

It also deletes the archives that an erasure has replaced.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, select

from contract.artifacts import Bucket, upload_key
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.references import Owner, drop_references
from services.storage.tables import object_references, uploads

BATCH = 1000  # rows or objects


class AbandonedUploads:
    """Deletes uploads that are not completed `after` they were announced, by the database's and the store's clocks.

    Any number of them may run at once, since deleting twice does no harm.
    """

    def __init__(self, database: Database, objects: Objects, after: timedelta) -> None:
        self._database = database
        self._objects = objects
        self._after = after

    def collect(self) -> int:
        """Delete what was abandoned; return the number of objects and multipart uploads. Raises ObjectsUnavailable."""
        latest = self._database.now() - self._after
        self._delete_rows(latest)
        # what no row names: the objects of these rows, and those of gateways that ended before they wrote the row
        replaced = self._replaced()
        entries = self._objects.entries(Bucket.UPLOADS)
        old = [entry.key for entry in entries if entry.modified_at <= latest or entry.key in replaced]
        count = sum(self._delete_objects(old[start : start + BATCH]) for start in range(0, len(old), BATCH))
        return count + sum(self._abort_multipart(bucket, latest) for bucket in Bucket)

    def _replaced(self) -> set[str]:
        """Return the keys of uploads that refer to another object, because an image was erased from them."""
        with self._database.read() as connection:
            rows = connection.execute(select(uploads.c.id, uploads.c.project).where(uploads.c.file.is_not(None)))
            return {upload_key(row.id, row.project) for row in rows}

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
            ids = {key.rpartition("/")[2]: key for key in keys}  # keys of other projects than `default` begin with it
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
