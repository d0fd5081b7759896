"""Everything that the console shows of one model version, and where it comes from."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from contract.base import Frozen
from contract.catalog import Alias
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.catalog.aliases import aliases_of
from services.storage.catalog.versions import MODELS, find_version, manifest_of
from services.storage.database import Database
from services.storage.tables import dataset_versions, jobs, model_versions, uploads


class DatasetOrigin(Frozen):
    """The dataset version that a model was trained on: the file or place it was made from, and its job."""

    reference: str
    job: str
    source: str | None


@dataclass(frozen=True)
class VersionDetails:
    """One version; `manifest` is None for a rejected one, `origin` without a dataset or if that was deleted."""

    reference: Reference
    job: str
    created_at: datetime
    manifest: ModelManifest | None
    rejected: str | None
    pinned: str | None
    aliases: tuple[Alias, ...]
    newest: int
    origin: DatasetOrigin | None


@dataclass(frozen=True)
class VersionScreen:
    """Reads a project's model versions."""

    database: Database
    project: str

    def details(self, name: str, version: int) -> VersionDetails:
        """Return a version; raises NotFound."""
        reference, table = Reference(name=name, version=version), model_versions.c
        with self.database.read() as connection:
            row = find_version(connection, self.project, MODELS, reference)
            pointed = aliases_of(connection, self.project, name)
            of_model = (table.project == self.project) & (table.name == name)
            newest = connection.execute(select(func.max(table.version)).where(of_model)).scalar_one()
            origin = self._origin(connection, row["dataset"]) if row["dataset"] else None
        return VersionDetails(
            reference=reference,
            job=row["job_id"],
            created_at=row["created_at"],
            manifest=manifest_of(row) if row["rejected"] is None else None,
            rejected=row["rejected"],
            pinned=row["serving"],
            aliases=pointed,
            newest=newest,
            origin=origin,
        )

    def _origin(self, connection: Connection, text: str) -> DatasetOrigin | None:
        dataset, table = Reference.parse(text), dataset_versions.c
        query = select(table.job_id, jobs.c.spec).join(jobs, jobs.c.id == table.job_id)
        own = (table.project == self.project) & (table.name == dataset.name) & (table.version == dataset.version)
        row = connection.execute(query.where(own)).one_or_none()
        if row is None:
            return None
        source = row.spec.get("source") or {}
        place: str | None = source.get("s3") or row.spec.get("parent")  # of a version that was made from another one
        if source.get("upload"):
            named = select(uploads.c.filename).where(
                uploads.c.project == self.project, uploads.c.id == source["upload"]
            )
            place = connection.execute(named).scalar_one_or_none()
        return DatasetOrigin(reference=text, job=row.job_id, source=place)
