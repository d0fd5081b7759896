"""The registry of references: one row for each object that an upload, a version or a job still needs.

The collector deletes what no row names. So every transaction that stores a reference to an object registers it here,
and the transaction that removes its owner removes the rows.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, delete
from sqlalchemy.dialects import postgresql, sqlite

from contract.artifacts import Bucket
from services.storage.tables import object_references


class Owner(StrEnum):
    """The kinds of owners, and what the owner's id is."""

    UPLOAD = "upload"  # the upload's id
    DATASET_VERSION = "dataset_version"  # a pinned reference such as pets@3
    MODEL_VERSION = "model_version"  # the same
    JOB_OUTPUT = "job_output"  # the job's id
    JOB_CHECKPOINT = "job_checkpoint"  # the id of a job or of a part, until it ends
    JOB_PARTS = "job_parts"  # the id of the divided job, until it ends; its parts' specs and results


def add_references(connection: Connection, owner: Owner, owner_id: str, value: Any) -> None:
    """Register every object that `value` refers to, however deep: a model, a JSON document, or a collection of them.

    Registering a reference again changes nothing.
    """
    rows = [
        {"bucket": bucket, "key": key, "owner_kind": owner, "owner_id": owner_id}
        for bucket, key in sorted(set(_objects(to_jsonable_python(value))))
    ]
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(object_references).on_conflict_do_nothing(), rows)


def drop_references(connection: Connection, owner: Owner, *owner_ids: str) -> None:
    """Remove all references of these owners, which need not have any."""
    table = object_references.c
    connection.execute(delete(object_references).where(table.owner_kind == owner, table.owner_id.in_(owner_ids)))


def _objects(document: Any) -> Iterator[tuple[str, str]]:
    """The bucket and the key of each reference in a JSON document."""
    if isinstance(document, list):
        for item in document:
            yield from _objects(item)
    elif isinstance(document, dict):
        bucket, key = document.get("bucket"), document.get("key")
        if isinstance(key, str) and bucket in tuple(Bucket):
            yield bucket, key
        for item in document.values():
            yield from _objects(item)
