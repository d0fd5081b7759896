"""Uploads: archives that the gateway stores, or that clients store through a presigned URL."""

from datetime import datetime

import uuid_utils
from sqlalchemy import ColumnElement, Connection, RowMapping, delete, insert, select, update

from contract.artifacts import Bucket, ObjectRef, upload_key
from contract.audit import AuditAction
from contract.catalog import Upload
from contract.errors import Conflict, Invalid, NotFound, Overtaken
from contract.projects import Quotas
from services.storage.access.audit import Actor, record
from services.storage.access.quotas import admit_upload, check_upload
from services.storage.catalog.upload_uses import delete_upload, require_unneeded
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
    """The uploads of a project; the bytes are in the object store under `upload_key(id, project)`.

    `quotas` are the project's; uploads over them raise QuotaExceeded.
    """

    def __init__(
        self, database: Database, project: str, actor: Actor | None = None, quotas: Quotas | None = None
    ) -> None:
        self._database = database
        self._project = project
        self._actor = actor
        self._quotas = quotas

    def require_room(self, size: int) -> None:
        """Raise QuotaExceeded unless the project may upload files with `size` bytes together."""
        if self._quotas is not None:
            with self._database.read() as connection:
                check_upload(connection, self._project, self._quotas, size)

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
        """Record an upload that is already in the object store under its key; its id is the end of the key."""
        with self._database.write() as connection:
            upload_id = ref.key.rpartition("/")[2]
            return self._insert(connection, upload_id, filename, ref.size, ref.sha256, complete=True)

    def forget(self, upload_id: str) -> None:
        """Delete the row of an upload that nothing uses."""
        with self._database.write() as connection:
            connection.execute(delete(uploads).where(self._is(upload_id)))
            drop_references(connection, Owner.UPLOAD, upload_id)
            record(connection, self._actor, AuditAction.DELETE, f"uploads/{upload_id}", self._database.now())

    def delete(self, upload_id: str) -> None:
        """Delete an upload; raises NotFound, or Conflict while a live job uses it or there is a version of it.

        The collector deletes its object.
        """
        with self._database.write() as connection:
            row = connection.execute(select(uploads.c.filename).where(self._is(upload_id)).with_for_update())
            if (filename := row.scalar_one_or_none()) is None:
                raise NotFound("there is no such upload")
            require_unneeded(connection, upload_id)
            delete_upload(connection, self._project, upload_id)
            now = self._database.now()
            record(connection, self._actor, AuditAction.DELETE, f"uploads/{upload_id}", now, filename)

    def get(self, upload_id: str) -> Upload:
        """Return an upload; raises NotFound."""
        return _upload(self._row(upload_id))

    def complete(self, upload_id: str, stored: ObjectRef) -> Upload:
        """Accept the object that the client stored; raises NotFound, or Invalid if its size or hash differs."""
        upload = self.get(upload_id)
        require_announced_size(upload, stored.size)
        if upload.sha256 not in {None, stored.sha256}:
            raise Invalid("the uploaded bytes do not have the announced sha256; upload the file again")
        with self._database.write() as connection:
            values = {"complete": True, "sha256": stored.sha256}
            accepted = update(uploads).where(self._is(upload_id)).values(values).returning(uploads)
            row = connection.execute(accepted).mappings().one_or_none()
            if row is None:  # the collector was faster
                raise NotFound("there is no such upload")
            return _upload(row)

    def multipart(self, upload_id: str) -> str | None:
        """Return the object store's id of the multipart upload that was begun; raises NotFound."""
        begun: str | None = self._row(upload_id)["multipart"]
        return begun

    def set_multipart(self, upload_id: str, before: str | None, begun: str | None) -> str | None:
        """Note that a multipart upload has begun, unless it is no longer `before`; return the one that is noted then.

        None if the upload was deleted.
        """
        same = uploads.c.multipart.is_(None) if before is None else uploads.c.multipart == before
        with self._database.write() as connection:
            connection.execute(update(uploads).where(self._is(upload_id), same).values(multipart=begun))
            noted = connection.execute(select(uploads.c.multipart).where(self._is(upload_id)))
            return noted.scalar_one_or_none()

    def ref(self, upload_id: str) -> ObjectRef:
        """Return the reference to the stored object; raises NotFound, or Conflict while the upload is not complete."""
        row = self._row(upload_id)
        if not row["complete"]:
            raise Conflict("the upload is not complete; put the file, then POST to its /complete")
        return stored_upload(row)

    def _row(self, upload_id: str) -> RowMapping:
        with self._database.read() as connection:
            row = connection.execute(select(uploads).where(self._is(upload_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("there is no such upload")
        return row

    def _insert(
        self, connection: Connection, upload_id: str, filename: str, size: int, sha256: str | None, complete: bool
    ) -> Upload:
        admit_upload(connection, self._project, self._quotas, size)
        values = {"id": upload_id, "filename": filename[:255], "size": size, "sha256": sha256, "complete": complete}
        values |= {"project": self._project, "created_at": self._database.now()}
        row = connection.execute(insert(uploads).values(values).returning(uploads)).mappings().one()
        add_references(connection, Owner.UPLOAD, upload_id, {"bucket": Bucket.UPLOADS, "key": self._key(upload_id)})
        at, name = row["created_at"], row["filename"]
        record(connection, self._actor, AuditAction.CREATE, f"uploads/{upload_id}", at, name)
        return _upload(row)

    def _key(self, upload_id: str) -> str:
        return upload_key(upload_id, self._project)

    def _is(self, upload_id: str) -> ColumnElement[bool]:
        return (uploads.c.project == self._project) & (uploads.c.id == upload_id)


def stored_upload(row: RowMapping) -> ObjectRef:
    """Return the reference to the object of a complete upload: the rewritten one, if an image was erased from it."""
    if row["file"] is not None:
        return ObjectRef.model_validate(row["file"])
    key = upload_key(row["id"], row["project"])
    return ObjectRef(bucket=Bucket.UPLOADS, key=key, size=row["size"], sha256=row["sha256"])


def replace_upload(connection: Connection, project: str, upload_id: str, before: ObjectRef, after: ObjectRef) -> None:
    """Let an upload refer to another object; one that was deleted is ignored.

    Raises Overtaken if it no longer refers to `before`.
    """
    own = (uploads.c.project == project) & (uploads.c.id == upload_id)
    row = connection.execute(select(uploads).where(own).with_for_update()).mappings().one_or_none()
    if row is None:
        return
    if stored_upload(row) != before:
        raise Overtaken("the upload was rewritten meanwhile")
    values = {"file": after.model_dump(mode="json"), "size": after.size, "sha256": after.sha256}
    connection.execute(update(uploads).where(own).values(values))
    drop_references(connection, Owner.UPLOAD, upload_id)
    add_references(connection, Owner.UPLOAD, upload_id, after)


def add_stored(
    connection: Connection, project: str, upload_id: str, filename: str, ref: ObjectRef, now: datetime
) -> None:
    """Register an object that a job has stored as a complete upload; runs in the transaction that ends the job."""
    values = {"id": upload_id, "project": project, "filename": filename[:255], "complete": True, "created_at": now}
    values |= {"size": ref.size, "sha256": ref.sha256, "file": ref.model_dump(mode="json")}
    connection.execute(insert(uploads).values(values))
    add_references(connection, Owner.UPLOAD, upload_id, ref)


def _upload(row: RowMapping) -> Upload:
    return Upload.model_validate({field: row[field] for field in Upload.model_fields})
