"""The registry of references: one row for each object that an upload, a version or a job still needs.

The collector deletes what no row names. So every transaction that stores a reference to an object registers it here,
and the transaction that removes its owner removes the rows.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import ColumnElement, Connection, Select, String, case, cast, delete, exists, select

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket
from contract.jobs import LIVE
from services.storage.inserts import insert_for
from services.storage.tables import dataset_versions, jobs, model_versions, object_references


class Owner(StrEnum):
    """The kinds of owners; each comment describes the owner's id."""

    UPLOAD = "upload"  # the upload's id
    DATASET_VERSION = "dataset_version"  # a pinned reference such as pets@3, of other projects than default lab/pets@3
    MODEL_VERSION = "model_version"  # the same
    BACKBONE_VERSION = "backbone_version"  # the same
    FEATURES = "features"  # the same with a dataset's name, a slash and the key of the features
    JOB_OUTPUT = "job_output"  # the job's id
    JOB_CHECKPOINT = "job_checkpoint"  # the id of a job or of a part, until it ends
    JOB_PARTS = "job_parts"  # the id of the divided job, until it ends; its parts' specs and results, or its children's
    REVIEW = "review"  # the id of a sample in the review queue, while its copy is kept


def owned(project: str, name: object) -> str:
    """Return the id of an owner that has a name in a project; names have no slash."""
    return str(name) if project == DEFAULT_PROJECT else f"{project}/{name}"


def add_references(connection: Connection, owner: Owner, owner_id: str, value: Any) -> None:
    """Register every object that `value` refers to, however deep: a model, a JSON document, or a collection of them.

    Registering a reference again changes nothing.
    """
    rows = [
        {"bucket": bucket, "key": key, "owner_kind": owner, "owner_id": owner_id}
        for bucket, key in sorted(set(_objects(to_jsonable_python(value))))
    ]
    if rows:
        connection.execute(insert_for(connection, object_references).on_conflict_do_nothing(), rows)


def drop_references(connection: Connection, owner: Owner, *owner_ids: str) -> None:
    """Remove all references of these owners, if they have any."""
    table = object_references.c
    connection.execute(delete(object_references).where(table.owner_kind == owner, table.owner_id.in_(owner_ids)))


def register_missing(connection: Connection) -> None:
    """Register references that replicas of an older release, without the registry, published after the migration.

    Such replicas may keep running during a rolling upgrade. An owner that has no row at all was published by one.
    """
    for owner, versions in ((Owner.DATASET_VERSION, dataset_versions), (Owner.MODEL_VERSION, model_versions)):
        other = case((versions.c.project == DEFAULT_PROJECT, ""), else_=versions.c.project + "/")
        reference = other + versions.c.name + "@" + cast(versions.c.version, String)
        query = select(reference.label("id"), versions.c.manifest.label("document"))
        _register(connection, owner, reference, query.where(versions.c.manifest.is_not(None)))
    output = select(jobs.c.id, jobs.c.output.label("document")).where(jobs.c.output.is_not(None))
    _register(connection, Owner.JOB_OUTPUT, jobs.c.id, output)
    checkpoint = select(jobs.c.id, jobs.c.checkpoint.label("document")).where(jobs.c.checkpoint.is_not(None))
    _register(connection, Owner.JOB_CHECKPOINT, jobs.c.id, checkpoint.where(jobs.c.state.in_(LIVE)))
    parts = select(jobs.c.parent_id.label("id"), jobs.c.result.label("document")).where(jobs.c.result.is_not(None))
    live = select(jobs.c.id).where(jobs.c.state.in_(LIVE), jobs.c.parts_total.is_not(None)).scalar_subquery()
    _register(connection, Owner.JOB_PARTS, jobs.c.parent_id, parts.where(jobs.c.parent_id.in_(live)))


def _register(connection: Connection, owner: Owner, owner_id: ColumnElement[str], query: Select[Any]) -> None:
    registered = exists().where(object_references.c.owner_kind == owner, object_references.c.owner_id == owner_id)
    for row in connection.execute(query.where(~registered)).all():
        add_references(connection, owner, row.id, row.document)


def _objects(document: Any) -> Iterator[tuple[str, str]]:
    """Yield the bucket and the key of each reference in a JSON document."""
    if isinstance(document, list):
        for item in document:
            yield from _objects(item)
    elif isinstance(document, dict):
        bucket, key = document.get("bucket"), document.get("key")
        if isinstance(key, str) and bucket in tuple(Bucket):
            yield bucket, key
        for item in document.values():
            yield from _objects(item)
