"""Datasets: publish, read and delete their versions."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from contract.artifacts import ObjectRef
from contract.audit import AuditAction
from contract.base import Frozen
from contract.catalog import Dataset, DatasetVersion
from contract.datasets import DatasetManifest, OriginalFiles
from contract.errors import NotFound
from contract.kinds.index import DatasetIndex
from contract.kinds.preprocess import PreprocessSpec
from contract.references import Reference
from services.storage.access.audit import Actor, record
from services.storage.catalog.features import drop_features, find_features
from services.storage.catalog.upload_uses import release_uploads
from services.storage.catalog.versions import (
    DATASETS,
    add_version,
    change_manifest,
    delete_version,
    find_version,
    names_of,
    require_unused,
    versions_of,
)
from services.storage.database import Database
from services.storage.people.removal import forget_dataset
from services.storage.tables import datasets, jobs, model_versions

MOST_USES = 200  # models or jobs that an image's page lists
_INTERNAL = ("shards", "index", "moments", "originals")


class DatasetPage(Frozen):
    items: tuple[Dataset, ...]
    next: str | None


def register_dataset(
    connection: Connection, project: str, name: str, manifest: DatasetManifest, job_id: str, now: datetime
) -> Reference:
    """Publish the next version of a dataset; runs in the transaction that finishes its job."""
    values = {"job_id": job_id, "manifest": manifest.model_dump(mode="json")}
    return add_version(connection, project, DATASETS, name, now, **values)


def add_index(connection: Connection, project: str, reference: Reference, outcome: DatasetIndex) -> None:
    """Add an index, its warnings and the hash of the data to a pinned version; raises NotFound.

    Runs in the transaction that finishes the job.
    """
    manifest = DatasetManifest.model_validate(find_version(connection, project, DATASETS, reference)["manifest"])
    changes = {"index": outcome.index, "data_sha256": outcome.data_sha256}
    changed = manifest.model_copy(update=changes | {"warnings": (*manifest.warnings, *outcome.warnings)})
    change_manifest(connection, project, DATASETS, reference, changed.model_dump(mode="json"))


class Datasets:
    """Read and delete published datasets."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def manifest(self, reference: Reference) -> tuple[Reference, DatasetManifest]:
        """Resolve a reference to a pinned reference and its manifest; raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, self._project, DATASETS, reference)
        return Reference(name=row["name"], version=row["version"]), DatasetManifest.model_validate(row["manifest"])

    def preprocess_spec(self, reference: Reference) -> PreprocessSpec:
        """Return the spec of the job that prepared a version; raises NotFound if the version or the job is gone.

        A version that was made from another one has no such spec; see `originals`.
        """
        with self._database.read() as connection:
            row = find_version(connection, self._project, DATASETS, reference)
            spec = connection.execute(select(jobs.c.spec).where(jobs.c.id == row["job_id"])).scalar_one_or_none()
        if spec is None:
            raise NotFound(f"the job that made {reference} is gone")
        return PreprocessSpec.model_validate(spec)

    def originals(self, reference: Reference) -> tuple[OriginalFiles, ...]:
        """Return where the originals of a version lie, by the number in its index.

        Raises NotFound if the version, or the job that says so, is gone.
        """
        _, manifest = self.manifest(reference)
        if manifest.originals:
            return manifest.originals
        spec = self.preprocess_spec(reference)
        return (OriginalFiles(source=spec.source, encoding=spec.layout.encoding),)

    def get(self, reference: Reference) -> DatasetVersion:
        """Return a version; raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, self._project, DATASETS, reference)
        manifest = DatasetManifest.model_validate(row["manifest"])
        return DatasetVersion(
            name=row["name"],
            version=row["version"],
            job=row["job_id"],
            created_at=row["created_at"],
            shape=manifest.image.shape,
            **{field: getattr(manifest, field) for field in DatasetManifest.model_fields if field not in _INTERNAL},
        )

    def used_by(self, versions: Collection[Reference]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the models trained on these versions, and the jobs that predicted their images, newest first.

        At most MOST_USES of each.
        """
        texts = [str(version) for version in versions]
        trained = select(model_versions.c.name, model_versions.c.version).where(
            model_versions.c.project == self._project, model_versions.c.dataset.in_(texts)
        )
        of_dataset = jobs.c.dataset.in_({version.name for version in versions})
        predicted = select(jobs.c.id, jobs.c.spec).where(
            jobs.c.project == self._project, jobs.c.kind == "predict", of_dataset, jobs.c.parent_id.is_(None)
        )
        with self._database.read() as connection:
            models = connection.execute(trained.order_by(model_versions.c.created_at.desc()).limit(MOST_USES)).all()
            predictions = connection.execute(predicted.order_by(jobs.c.id.desc()).limit(MOST_USES)).all()
        ids = tuple(row.id for row in predictions if row.spec["input"].get("dataset") in texts)
        return tuple(f"{row.name}@{row.version}" for row in models), ids

    def list(self, limit: int, cursor: str | None = None) -> DatasetPage:
        """Return a page of the datasets that have versions, sorted by name."""
        with self._database.read() as connection:
            names, following = names_of(connection, self._project, DATASETS, limit, cursor)
            items = tuple(_dataset(connection, self._project, name) for name in names)
        return DatasetPage(items=items, next=following)

    def named(self, name: str) -> Dataset:
        """Return a dataset with its versions; raises NotFound."""
        with self._database.read() as connection:
            return _dataset(connection, self._project, name)

    def delete(self, reference: Reference) -> None:
        """Delete a version; raises NotFound, or Conflict while a live job uses it."""
        with self._database.write() as connection:
            row = find_version(connection, self._project, DATASETS, reference, "own")
            pinned = Reference(name=row["name"], version=row["version"])
            require_unused(connection, self._project, str(pinned), "dataset")
            delete_version(connection, self._project, DATASETS, pinned)
            forget_dataset(connection, self._project, str(pinned))
            now = self._database.now()
            record(connection, self._actor, AuditAction.DELETE, f"datasets/{pinned}", now)
            release_uploads(connection, self._project, row["job_id"], now, self._actor)
            if not versions_of(connection, self._project, DATASETS, pinned.name):
                drop_features(connection, self._project, pinned.name)

    def features(self, name: str, key: str) -> ObjectRef | None:
        """Return the file of a dataset's cached features, or None if there is none."""
        with self._database.read() as connection:
            return find_features(connection, self._project, name, key)


def _dataset(connection: Connection, project: str, name: str) -> Dataset:
    named = (datasets.c.project == project) & (datasets.c.name == name)
    created_at = connection.execute(select(datasets.c.created_at).where(named)).scalar_one_or_none()
    versions = versions_of(connection, project, DATASETS, name)
    if created_at is None or not versions:
        raise NotFound(f"there is no dataset {name}")
    return Dataset(name=name, versions=versions, created_at=created_at)
