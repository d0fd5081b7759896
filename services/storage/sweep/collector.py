"""Collects what attempts left in the object store and nothing points at."""

from typing import Any

from sqlalchemy import Connection, select

from contract.artifacts import Bucket, attempt_prefix
from contract.jobs import LIVE
from services.storage.database import Database
from services.storage.objects import Objects
from services.storage.tables import dataset_versions, jobs, model_versions


class Collector:
    """Any number of these may run at once: deleting twice does no harm."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database = database
        self._objects = objects

    def collect(self) -> int:
        """Delete the attempts that nothing points at and say how many objects that were."""
        found = [
            attempt
            for folder in self._objects.prefixes(Bucket.JOBS)
            for attempt in self._objects.prefixes(Bucket.JOBS, f"{folder}attempts/")
        ]
        # after the listing: what is published meanwhile is seen as published, what begins meanwhile was not listed
        with self._database.read() as connection:
            kept = _referenced(connection) | _running(connection)
        return sum(self._objects.delete(Bucket.JOBS, attempt) for attempt in found if attempt not in kept)


def _referenced(connection: Connection) -> set[str]:
    """The attempts whose objects are published, or that a live job goes on from."""
    documents = [
        *connection.execute(select(dataset_versions.c.manifest)).scalars(),
        *connection.execute(select(model_versions.c.manifest)).scalars(),
        *connection.execute(select(jobs.c.output).where(jobs.c.output.is_not(None))).scalars(),
        *connection.execute(select(jobs.c.checkpoint).where(jobs.c.state.in_(LIVE))).scalars(),
    ]
    live = select(jobs.c.id).where(jobs.c.state.in_(LIVE), jobs.c.parts_total.is_not(None)).scalar_subquery()
    for column in (jobs.c.spec, jobs.c.result):
        documents += connection.execute(select(column).where(jobs.c.parent_id.in_(live))).scalars()
    return {key[: key.index("/", key.index("/attempts/") + 10) + 1] for key in _keys(documents)}


def _running(connection: Connection) -> set[str]:
    """The attempts that may still be writing."""
    query = select(jobs.c.id, jobs.c.fence).where(jobs.c.state.in_(LIVE))
    return {attempt_prefix(job_id, fence) for job_id, fence in connection.execute(query)}


def _keys(document: Any) -> set[str]:
    """The keys of all references in a JSON document."""
    if isinstance(document, list):
        return set().union(*map(_keys, document))
    if not isinstance(document, dict):
        return set()
    if document.get("bucket") == Bucket.JOBS:
        return {document["key"]}
    return set().union(*map(_keys, document.values()))
