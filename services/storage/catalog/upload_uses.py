"""The jobs and versions that need an upload: it is kept for them, and goes with the last version that came from it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, exists, insert, literal, or_, select

from contract.audit import AuditAction
from contract.errors import Conflict
from contract.jobs import LIVE
from contract.kinds.kind import JobSpec
from contract.references import references_in
from services.storage.access.audit import Actor, record
from services.storage.references import Owner, drop_references
from services.storage.tables import (
    backbone_versions,
    dataset_versions,
    jobs,
    model_versions,
    upload_uses,
    uploads,
)

_VERSIONS = {"dataset": dataset_versions, "model": model_versions, "backbone": backbone_versions}


def register_uses(connection: Connection, project: str, job_id: str, spec: JobSpec) -> None:
    """Register that a new job uses the uploads that its spec names; runs in the transaction that creates the job.

    An unknown upload is ignored. One that is deleted meanwhile violates a foreign key, a Conflict.
    """
    ids = {text for noun, text in references_in(spec) if noun == "upload"}
    if ids:
        stored = select(uploads.c.id, literal(job_id)).where(uploads.c.project == project, uploads.c.id.in_(ids))
        connection.execute(insert(upload_uses).from_select(["upload_id", "job_id"], stored))


def add_uses(connection: Connection, project: str, job_id: str, upload_ids: Collection[str]) -> None:
    """Register that the version that a job publishes needs uploads, besides those in the job's spec."""
    known = select(upload_uses.c.upload_id).where(upload_uses.c.job_id == job_id)
    stored = select(uploads.c.id, literal(job_id)).where(
        uploads.c.project == project, uploads.c.id.in_(upload_ids), uploads.c.id.not_in(known)
    )
    connection.execute(insert(upload_uses).from_select(["upload_id", "job_id"], stored))


def used_by(jobs_that: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return the condition that a row of `uploads` was used by a job that fulfils a condition."""
    use = (upload_uses.c.upload_id == uploads.c.id) & (upload_uses.c.job_id == jobs.c.id)
    return exists().where(use, jobs_that)


def has_version() -> ColumnElement[bool]:
    """Return the condition that a version came from a row of `uploads`."""
    return used_by(made_version())


def made_version() -> ColumnElement[bool]:
    """Return the condition that a row of `jobs` made a version that exists."""
    return or_(*(exists().where(versions.c.job_id == jobs.c.id) for versions in _VERSIONS.values()))


def is_needed() -> ColumnElement[bool]:
    """Return the condition that a live job or a version needs a row of `uploads`."""
    return used_by(jobs.c.state.in_(LIVE)) | has_version()


def version_of(connection: Connection, job_id: str) -> str | None:
    """Return the version that a job has published, such as `dataset pets@3`; None if it is deleted, or never was."""
    for noun, versions in _VERSIONS.items():
        query = select(versions.c.name, versions.c.version).where(versions.c.job_id == job_id).limit(1)
        if (row := connection.execute(query).one_or_none()) is not None:
            return f"{noun} {row.name}@{row.version}"
    return None


def require_unneeded(connection: Connection, upload_id: str) -> None:
    """Raise Conflict if a live job or a version needs an upload, whose row must be locked."""
    needed = select(is_needed()).where(uploads.c.id == upload_id)
    if not connection.execute(needed).scalar():
        return
    users = select(upload_uses.c.job_id).where(upload_uses.c.upload_id == upload_id)
    for job_id in connection.execute(users).scalars().all():
        if (version := version_of(connection, job_id)) is not None:
            raise Conflict(f"the {version} came from the upload; delete that version, and the upload goes with it")
    raise Conflict("a job that has not ended uses the upload; cancel it or wait")


def release_uploads(
    connection: Connection,
    project: str,
    job_id: str,
    now: datetime,
    actor: Actor | None,
    for_jobs: bool = False,
) -> None:
    """Delete the uploads of a job that nothing else needs; runs where its version, or the job itself, is deleted.

    Live jobs and other versions keep an upload; with `for_jobs`, ended jobs do as well, for their repetition.
    """
    own = select(upload_uses.c.upload_id).where(upload_uses.c.job_id == job_id)
    rows = select(uploads.c.id).where(uploads.c.id.in_(own)).with_for_update().order_by(uploads.c.id)
    for upload_id in connection.execute(rows).scalars().all():
        needed = is_needed() | used_by(jobs.c.id != job_id) if for_jobs else is_needed()
        if not connection.execute(select(needed).where(uploads.c.id == upload_id)).scalar():
            delete_upload(connection, project, upload_id)
            record(connection, actor, AuditAction.DELETE, f"uploads/{upload_id}", now, f"with jobs/{job_id}")


def delete_upload(connection: Connection, project: str, upload_id: str) -> None:
    """Delete the row of an upload, and the references to its object."""
    connection.execute(delete(uploads).where(uploads.c.project == project, uploads.c.id == upload_id))
    drop_references(connection, Owner.UPLOAD, upload_id)
