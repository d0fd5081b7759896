"""Backbones that people bring: publish, read and delete their versions. Lists also show those of Tidepool."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from contract.audit import AuditAction
from contract.backbones import BUILT_IN, Backbone, BackboneManifest, BackboneVersion, built_in_backbone
from contract.base import Frozen
from contract.errors import BadModel, Conflict, NotFound
from contract.references import Reference
from services.storage.access.audit import Actor, record
from services.storage.catalog.upload_uses import release_uploads
from services.storage.catalog.versions import (
    BACKBONES,
    add_version,
    delete_version,
    find_version,
    names_of,
    require_unused,
    versions_of,
)
from services.storage.database import Database
from services.storage.tables import backbone_versions, backbones


class BackbonePage(Frozen):
    items: tuple[Backbone, ...]
    next: str | None


def register_backbone(
    connection: Connection, project: str, name: str, manifest: BackboneManifest, job_id: str, now: datetime
) -> Reference:
    """Publish the next version of a backbone; runs in the transaction that finishes its job."""
    values = {"job_id": job_id, "manifest": manifest.model_dump(mode="json")}
    return add_version(connection, project, BACKBONES, name, now, **values)


def register_rejected_backbone(
    connection: Connection, project: str, name: str, reason: str, job_id: str, now: datetime
) -> Reference:
    """Record a version that must not be used; runs in the transaction that ends its job."""
    return add_version(connection, project, BACKBONES, name, now, job_id=job_id, rejected=reason)


class Backbones:
    """Read and delete published backbones."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def known(self, name: str) -> bool:
        """Return whether a person has brought a backbone of this name."""
        with self._database.read() as connection:
            return bool(versions_of(connection, self._project, BACKBONES, name))

    def manifest(self, reference: Reference) -> tuple[Reference, BackboneManifest]:
        """Resolve a reference to a pinned reference and its manifest.

        Raises NotFound, or BadModel with the reason if the version was rejected.
        """
        with self._database.read() as connection:
            row = find_version(connection, self._project, BACKBONES, reference)
        pinned = Reference(name=row["name"], version=row["version"])
        if row["rejected"] is not None:
            raise BadModel(f"{pinned} was rejected: {row['rejected']}")
        return pinned, BackboneManifest.model_validate(row["manifest"])

    def get(self, reference: Reference) -> BackboneVersion:
        """Return a version, which may be a rejected one; raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, self._project, BACKBONES, reference)
        described = {} if row["manifest"] is None else _shared(BackboneVersion, row)
        rejected = {} if row["rejected"] is None else {"status": "rejected", "reason": row["rejected"]}
        columns = {"name": row["name"], "version": row["version"], "job": row["job_id"]}
        return BackboneVersion(**columns, created_at=row["created_at"], **described, **rejected)

    def list(self, limit: int, cursor: str | None = None) -> BackbonePage:
        """Return a page of the backbones, sorted by name, with those that come with Tidepool."""
        with self._database.read() as connection:
            stored, following = names_of(connection, self._project, BACKBONES, limit, cursor)
            names = sorted({*stored, *(name for name in BUILT_IN if cursor is None or name > cursor)})
            page = names[:limit]
            items = tuple(_backbone(connection, self._project, name) for name in page)
        return BackbonePage(items=items, next=page[-1] if len(names) > limit or following else None)

    def named(self, name: str) -> Backbone:
        """Return a backbone with its versions; raises NotFound."""
        with self._database.read() as connection:
            return _backbone(connection, self._project, name)

    def delete(self, reference: Reference) -> None:
        """Delete a version; raises NotFound, or Conflict while a live job uses it or if it comes with Tidepool."""
        if reference.name in BUILT_IN:
            raise Conflict(f"{reference.name} comes with Tidepool and cannot be deleted")
        with self._database.write() as connection:
            row = find_version(connection, self._project, BACKBONES, reference, "own")
            pinned = Reference(name=row["name"], version=row["version"])
            require_unused(connection, self._project, str(pinned), "start")
            delete_version(connection, self._project, BACKBONES, pinned)
            now = self._database.now()
            record(connection, self._actor, AuditAction.DELETE, f"backbones/{pinned}", now)
            release_uploads(connection, self._project, row["job_id"], now, self._actor)


def _backbone(connection: Connection, project: str, name: str) -> Backbone:
    if name in BUILT_IN:
        return built_in_backbone(name)
    named = (backbones.c.project == project) & (backbones.c.name == name)
    created_at = connection.execute(select(backbones.c.created_at).where(named)).scalar_one_or_none()
    table = backbone_versions.c
    query = select(backbone_versions).where(table.project == project, table.name == name)
    rows = connection.execute(query.order_by(table.version.desc())).mappings().all()
    if created_at is None or not rows:
        raise NotFound(f"there is no backbone {name}")
    ready = [row for row in rows if row["rejected"] is None]
    return Backbone(
        name=name,
        versions=tuple(row["version"] for row in ready),
        rejected=tuple(row["version"] for row in rows if row["rejected"] is not None),
        created_at=created_at,
        **(_shared(Backbone, ready[0]) if ready else {}),
    )


def _shared(shown: type[Frozen], row: RowMapping) -> dict[str, Any]:
    """Return the fields of the manifest in a row that `shown` has, too."""
    manifest = BackboneManifest.model_validate(row["manifest"])
    return {name: getattr(manifest, name) for name in set(shown.model_fields) & set(BackboneManifest.model_fields)}
