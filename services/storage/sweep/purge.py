"""Deletes projects with everything that they have: runs the purge jobs, within the storage process."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy import Connection, Row, Select, delete, select, update

from contract.access import DEFAULT_PROJECT
from contract.artifacts import Bucket, project_of
from contract.errors import Conflict, JobFailed, LeaseLost, NotFound, TidepoolError
from contract.jobs import LIVE, JobKind, JobState, Progress
from contract.kinds.purge import Purged, PurgeSpec
from contract.references import Reference
from services.storage.catalog.features import drop_features
from services.storage.catalog.upload_uses import delete_upload
from services.storage.catalog.versions import BACKBONES, DATASETS, MODELS, Family, delete_version
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs, forget_job
from services.storage.jobs.leases import Leases
from services.storage.jobs.rows import Lease
from services.storage.objects import Objects
from services.storage.people.removal import remove_reviews
from services.storage.tables import (
    alias_weights,
    aliases,
    audit,
    features,
    jobs,
    pipeline_runs,
    pipelines,
    review_items,
    uploads,
)

BATCH = 200  # rows of a transaction
OBJECTS = 1000  # deleted at once
WAIT_S = 1.0  # for jobs to stop
WORKER = "storage"

Rows = Sequence[Row[Any]]

log = structlog.get_logger()


class Purger:
    """Runs purge jobs. Each step can be repeated, so a job whose process has died goes on in the next one."""

    def __init__(self, database: Database, objects: Objects, stop: threading.Event) -> None:
        self._database = database
        self._objects = objects
        self._stop = stop
        self._leases = Leases(database)

    def work(self) -> bool:
        """Run the next purge, until it has ended or `stop` is set; return whether there was one.

        Raises DatabaseUnavailable or ObjectsUnavailable; the job then waits to be claimed again.
        """
        due = select(jobs.c.id).where(jobs.c.kind == JobKind.PURGE, jobs.c.state.in_(LIVE)).limit(1)
        with self._database.read() as connection:
            if connection.execute(due).first() is None:
                return False
        if (claim := self._leases.claim(JobKind.PURGE, WORKER)) is None:
            return False
        project, lease = PurgeSpec.model_validate(claim.job.spec).project, claim.lease
        log.info("purging a project", project=project, job_id=claim.job.id)
        with suppress(LeaseLost):  # the job was claimed by another process
            try:
                self._run(project, lease)
            except LeaseLost:
                raise
            except TidepoolError:
                self._leases.release(lease)
                raise
            except Exception:
                log.exception("a purge failed", project=project, job_id=claim.job.id)
                self._leases.fail(lease, JobFailed("the storage process failed; its log says why"))
        return True

    def _run(self, project: str, lease: Lease) -> None:
        """Make passes over what the project has until nothing is left, and end the job."""
        while not self._stop.is_set():
            for message in self._steps(project):
                self._leases.renew(lease, Progress(message=message))
                if self._stop.is_set():
                    break
            else:
                with suppress(Conflict):  # a request that began before the purge has written something
                    self._leases.finish(lease, Purged(project=project))
                    return
                self._stop.wait(WAIT_S)
        self._leases.release(lease)

    def _steps(self, project: str) -> Iterator[str]:
        """Delete all that a project has, in batches; yield what is being done after each."""
        yield from self._stop_jobs(project)
        with self._database.write() as connection:
            for table in (alias_weights, aliases, pipeline_runs, pipelines):
                connection.execute(delete(table).where(table.c.project == project))
        for family in (MODELS, DATASETS, BACKBONES):
            yield from self._delete_versions(project, family)

        def forget_features(connection: Connection, rows: Rows) -> None:
            for row in rows:
                drop_features(connection, project, row.dataset)

        def forget_jobs(connection: Connection, rows: Rows) -> None:
            for row in rows:
                forget_job(connection, row.id)

        def forget_uploads(connection: Connection, rows: Rows) -> None:
            for row in rows:
                delete_upload(connection, project, row.id)

        def keep_trail(connection: Connection, rows: Rows) -> None:
            own = audit.c.id.in_([row.id for row in rows])
            connection.execute(update(audit).where(own).values(project=DEFAULT_PROJECT))

        def forget_reviews(connection: Connection, rows: Rows) -> None:
            remove_reviews(connection, [row.id for row in rows])

        of_datasets = select(features.c.dataset).where(features.c.project == project).distinct()
        yield from self._batches("deleting features", of_datasets, forget_features)
        reviewed = select(review_items.c.id).where(review_items.c.project == project)
        yield from self._batches("deleting the review queue", reviewed, forget_reviews)
        ended = select(jobs.c.id).where(jobs.c.project == project, jobs.c.parent_id.is_(None))
        yield from self._batches("deleting jobs", ended.where(jobs.c.state.not_in(LIVE)), forget_jobs)
        sent = select(uploads.c.id).where(uploads.c.project == project)
        yield from self._batches("deleting uploads", sent, forget_uploads)
        trail = select(audit.c.id).where(audit.c.project == project)
        yield from self._batches("keeping the audit trail", trail, keep_trail)
        yield from self._delete_objects(project)

    def _stop_jobs(self, project: str) -> Iterator[str]:
        """Cancel the jobs that have not ended, and wait until they have; a worker that takes too long loses its job."""
        live = select(jobs.c.id).where(jobs.c.project == project, jobs.c.parent_id.is_(None), jobs.c.state.in_(LIVE))
        own = Jobs(self._database, project)
        while True:
            with self._database.read() as connection:
                ids = connection.execute(live.limit(BATCH)).scalars().all()
            states = set()
            for job_id in ids:
                with suppress(Conflict, NotFound):
                    states.add(own.cancel(job_id).state)
            if not ids:
                return
            yield "stopping jobs"
            if states & {JobState.RUNNING}:
                self._stop.wait(WAIT_S)

    def _delete_versions(self, project: str, family: Family) -> Iterator[str]:
        def forget(connection: Connection, rows: Rows) -> None:
            for row in rows:
                delete_version(connection, project, family, Reference(name=row.name, version=row.version))

        versions = family.versions.c
        query = select(versions.name, versions.version).where(versions.project == project)
        yield from self._batches(f"deleting {family.noun}s", query, forget)

    def _batches(self, message: str, query: Select[Any], forget: Callable[[Connection, Rows], None]) -> Iterator[str]:
        """Hand what a query finds to a function, a batch in each transaction, until it finds no more."""
        while True:
            with self._database.write() as connection:
                rows = connection.execute(query.limit(BATCH)).all()
                forget(connection, rows)
            if not rows:
                return
            yield message

    def _delete_objects(self, project: str) -> Iterator[str]:
        """Delete the objects that have the project in their keys, and the parts of interrupted uploads."""
        prefix = f"{project}/"
        folders = [(Bucket.JOBS, folder) for folder in self._objects.prefixes(Bucket.JOBS, prefix)]
        for bucket, folder in [(Bucket.UPLOADS, prefix), *folders]:
            listed = (entry.key for entry in self._objects.entries(bucket, folder))
            # a project may have the name of a job of the default project
            keys = [key for key in listed if project_of(bucket, key) == project]
            for start in range(0, len(keys), OBJECTS):
                self._objects.remove(bucket, keys[start : start + OBJECTS])
                yield "deleting objects"
        for bucket in Bucket:
            for upload in self._objects.unfinished(bucket):
                if upload.key.startswith(prefix) and project_of(bucket, upload.key) == project:
                    self._objects.abort(bucket, upload)
                    yield "deleting objects"
