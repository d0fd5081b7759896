"""Uploads: archives that the gateway stores, or that clients store through a presigned URL."""

import uuid_utils
from sqlalchemy import Connection, delete, insert, select, update

from contract.artifacts import Bucket, ObjectRef, upload_key
from contract.catalog import Upload
from contract.errors import Conflict, Invalid, NotFound
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.references import Owner, add_references, drop_references
from services.storage.tables import uploads


def new_upload_id() -> str:
    return str(uuid_utils.uuid7())


def require_announced_size(upload: Upload, size: int) -> None:
    """Raise Invalid if the stored object has another size than was announced."""
    if size != upload.size:
        raise Invalid(f"{upload.size} bytes were announced and {size} were uploaded; upload the file again")


class Uploads:
    """The uploads table; the bytes are in the object store under `upload_key(id)`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def expect(
        self, upload_id: str, filename: str, size: int, sha256: str | None, once: IdempotencyKey | None = None
    ) -> Upload:
        """Record an upload that a client will store itself; raises Invalid or Conflict if `once` cannot be used."""
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                return Upload.model_validate(earlier)
            upload = self._insert(connection, upload_id, filename, size, sha256, complete=False)
            remember(connection, once, upload.model_dump(mode="json"), self._database)
        return upload

    def add(self, filename: str, ref: ObjectRef) -> Upload:
        """Record an upload that is already in the object store under its key."""
        with self._database.write() as connection:
            return self._insert(connection, ref.key, filename, ref.size, ref.sha256, complete=True)

    def forget(self, upload_id: str) -> None:
        """Delete the row of an upload that nothing uses."""
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(uploads.c.id == upload_id))
            drop_references(connection, Owner.UPLOAD, upload_id)

    def get(self, upload_id: str) -> Upload:
        """Return an upload; raises NotFound."""
        with self._database.read() as connection:
            row = connection.execute(select(uploads).where(uploads.c.id == upload_id)).mappings().one_or_none()
        if row is None:
            raise NotFound("there is no such upload")
        return Upload.model_validate(dict(row))

    def complete(self, upload_id: str, stored: ObjectRef) -> Upload:
        """Accept the object that the client stored; raises NotFound, or Invalid if its size or hash differs."""
        upload = self.get(upload_id)
        require_announced_size(upload, stored.size)
        if upload.sha256 not in {None, stored.sha256}:
            raise Invalid("the uploaded bytes do not have the announced sha256; upload the file again")
        with self._database.write() as connection:
            values = {"complete": True, "sha256": stored.sha256}
            row = connection.execute(update(uploads).where(uploads.c.id == upload_id).values(values).returning(uploads))
            if (completed := row.mappings().one_or_none()) is None:  # the collector was faster
                raise NotFound("there is no such upload")
            return Upload.model_validate(dict(completed))

    def ref(self, upload_id: str) -> ObjectRef:
        """Return the reference to the stored object; raises NotFound, or Conflict while the upload is not complete."""
        upload = self.get(upload_id)
        if not upload.complete or upload.sha256 is None:
            raise Conflict("the upload is not complete; put the file, then POST to its /complete")
        return ObjectRef(bucket=Bucket.UPLOADS, key=upload_key(upload_id), size=upload.size, sha256=upload.sha256)

    def _insert(
        self, connection: Connection, upload_id: str, filename: str, size: int, sha256: str | None, complete: bool
    ) -> Upload:
        values = {"id": upload_id, "filename": filename[:255], "size": size, "sha256": sha256, "complete": complete}
        row = connection.execute(
            insert(uploads).values(values | {"created_at": self._database.now()}).returning(uploads)
        )
        add_references(connection, Owner.UPLOAD, upload_id, {"bucket": Bucket.UPLOADS, "key": upload_key(upload_id)})
        return Upload.model_validate(dict(row.mappings().one()))
