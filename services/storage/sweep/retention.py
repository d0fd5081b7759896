"""Deletes what the projects no longer want to keep, in bounded batches, with an entry in the audit trail for each.

Old counts of drift go without an entry.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import ColumnElement, Select, String, Table, case, cast, exists, func, literal, select, true

from contract.errors import Conflict, NotFound
from contract.jobs import LIVE
from contract.projects import Retention, VersionRetention
from contract.references import Reference
from services.storage.access.audit import Actor
from services.storage.catalog.datasets import Datasets
from services.storage.catalog.models import Models
from services.storage.catalog.upload_uses import is_needed, made_version, used_by
from services.storage.catalog.uploads import Uploads
from services.storage.database import Database
from services.storage.jobs.jobs import Jobs
from services.storage.people.drift import prune_drift
from services.storage.people.removal import expire_reviews
from services.storage.tables import (
    alias_weights,
    aliases,
    dataset_versions,
    jobs,
    model_versions,
    projects,
    upload_uses,
    uploads,
)

BATCH = 1000  # deletions of each kind, by project and pass
ACTOR = "retention"
KEEP_DRIFT = timedelta(days=400)  # counts of a day take a few kilobytes, so this is the same for every project


class RetentionSweep:
    """Applies the retention of each project, and deletes unused uploads and expired samples.

    `keep_jobs` is how long ended jobs are kept in projects whose retention has no `jobs_days`; None means always.
    An upload whose jobs made no version is deleted `unpublished` after the last of them has ended, whatever the
    project's retention is. Each deletion is a transaction that checks again what needs the object, so any
    number of these may run at once.
    """

    def __init__(self, database: Database, unpublished: timedelta, keep_jobs: timedelta | None = None) -> None:
        self._database = database
        self._keep_jobs = keep_jobs
        self._unpublished = unpublished

    def apply(self) -> int:
        """Make one pass over the projects; return how many things were deleted. Raises DatabaseUnavailable."""
        with self._database.read() as connection:
            rows = connection.execute(select(projects.c.name, projects.c.retention)).all()
        count = sum(self._apply(row.name, Retention.model_validate(row.retention or {})) for row in rows)
        prune_drift(self._database, (self._database.now() - KEEP_DRIFT).date())
        return count + expire_reviews(self._database)

    def _apply(self, project: str, retention: Retention) -> int:
        now, actor = self._database.now(), Actor(ACTOR, ACTOR, "", project)
        datasets, models = Datasets(self._database, project, actor), Models(self._database, project, actor)
        ended, sent = Jobs(self._database, project, actor=actor), Uploads(self._database, project, actor)
        used = exists().where(upload_uses.c.upload_id == uploads.c.id)
        count = self._delete(_unneeded_uploads(project, now - self._unpublished).where(used), sent.delete)
        if (rule := retention.versions) is not None:  # models first: a dataset version may be kept only because of them
            for old, store in ((_old_models, models), (_old_datasets, datasets)):
                count += self._delete(old(project, rule, now), partial(_delete_version, store))
        keep_jobs = self._keep_jobs if retention.jobs_days is None else timedelta(days=retention.jobs_days)
        if keep_jobs is not None:
            count += self._delete(_old_jobs(project, now - keep_jobs), ended.delete)
        if retention.uploads_days is not None:
            before = now - timedelta(days=retention.uploads_days)
            count += self._delete(_unneeded_uploads(project, before), sent.delete)
        return count

    def _delete(self, candidates: Select[str], delete: Callable[[str], None]) -> int:
        """Delete what a query selects, and return how many; what is in use by then is left."""
        with self._database.read() as connection:
            names = connection.execute(candidates.limit(BATCH)).scalars().all()
        count = 0
        for name in names:
            with suppress(Conflict, NotFound):
                delete(name)
                count += 1
        return count


def _delete_version(store: Datasets | Models, reference: str) -> None:
    store.delete(Reference.parse(reference))


def _unneeded_uploads(project: str, before: datetime) -> Select[str]:
    """Select the complete uploads that nothing needs, and that were sent and last used before a moment."""
    old = select(uploads.c.id).where(uploads.c.project == project, uploads.c.complete, uploads.c.created_at < before)
    return old.where(~is_needed(), ~used_by(jobs.c.finished_at >= before)).order_by(uploads.c.id)


def _old_jobs(project: str, before: datetime) -> Select[str]:
    """Select the jobs that ended before a moment and whose version, if they made one, is gone."""
    ended = select(jobs.c.id).where(jobs.c.project == project, jobs.c.parent_id.is_(None), jobs.c.state.not_in(LIVE))
    ended = ended.where(jobs.c.child_of.is_(None))  # children go with their parent
    return ended.where(jobs.c.finished_at < before, ~made_version()).order_by(jobs.c.finished_at)


def _old_models(project: str, rule: VersionRetention, now: datetime) -> Select[str]:
    """Select the model versions that a rule does not keep and no alias points at."""
    table, share, alias = model_versions.c, alias_weights.c, aliases.c
    served = exists().where(share.project == project, share.model == table.name, share.version == table.version)
    shadow = exists().where(alias.project == project, alias.model == table.name, alias.shadow == table.version)
    return _old(model_versions, project, rule, now).where(~served, ~shadow)


def _old_datasets(project: str, rule: VersionRetention, now: datetime) -> Select[str]:
    """Select the dataset versions that a rule does not keep; those of models only if the rule includes them."""
    model = model_versions.c
    trained = exists().where(model.project == project, model.dataset == _reference(dataset_versions))
    return _old(dataset_versions, project, rule, now).where(true() if rule.trained_on else ~trained)


def _old(versions: Table, project: str, rule: VersionRetention, now: datetime) -> Select[str]:
    """Select the versions that are older than a rule says and not among the newest of their name.

    Rejected versions count as older than others.
    """
    table = versions.c
    rejected = case((table.rejected.is_(None), 0), else_=1) if "rejected" in table else literal(0)
    age = func.row_number().over(partition_by=table.name, order_by=(rejected, table.version.desc()))
    ranked = select(table.name, table.version, age.label("age")).where(table.project == project).subquery()
    same = (ranked.c.name == table.name) & (ranked.c.version == table.version)
    old = select(_reference(versions)).join(ranked, same).where(table.project == project, ranked.c.age > rule.keep_last)
    return old.where(table.created_at < now - timedelta(days=rule.days)).order_by(table.name, table.version)


def _reference(versions: Table) -> ColumnElement[str]:
    return versions.c.name + "@" + cast(versions.c.version, String)
