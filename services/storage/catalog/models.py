"""Models: publish, read and delete their versions, and set their aliases."""

import contextlib
import re
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update

from contract.audit import AuditAction
from contract.base import Frozen
from contract.catalog import Alias, Model, ModelVersion, Traffic
from contract.errors import Conflict, Invalid, NotFound
from contract.references import Reference
from contract.training import ModelManifest
from contract.variants import VariantName, artifact_of
from services.storage.access.audit import Actor, record
from services.storage.catalog.aliases import aliases_of, point, points_at, remove
from services.storage.catalog.routes import Route, route_of
from services.storage.catalog.upload_uses import release_uploads
from services.storage.catalog.versions import (
    MODELS,
    add_version,
    change_manifest,
    delete_version,
    find_version,
    manifest_of,
    names_of,
    require_unused,
    set_serving,
    versions_of,
)
from services.storage.database import Database
from services.storage.tables import model_versions, models


class ModelPage(Frozen):
    items: tuple[Model, ...]
    next: str | None


def register_model(
    connection: Connection, project: str, name: str, manifest: ModelManifest, job_id: str, now: datetime
) -> Reference:
    """Publish the next version of a model; runs in the transaction that finishes its job."""
    values = {"job_id": job_id, "dataset": manifest.dataset, "manifest": manifest.model_dump(mode="json")}
    return add_version(connection, project, MODELS, name, now, **values)


def register_rejected(
    connection: Connection, project: str, name: str, reason: str, job_id: str, now: datetime
) -> Reference:
    """Record a version that must not be used; runs in the transaction that ends its job."""
    return add_version(connection, project, MODELS, name, now, job_id=job_id, rejected=reason)


class Models:
    """Read and delete published models, and change the aliases that point at them."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def manifest(self, reference: Reference) -> tuple[Reference, ModelManifest]:
        """Resolve a reference to a pinned reference and its manifest; a split alias resolves to its largest share.

        Raises NotFound, or BadModel with the reason if the version was rejected.
        """
        with self._database.read() as connection:
            row = find_version(connection, self._project, MODELS, reference)
        return Reference(name=row["name"], version=row["version"]), manifest_of(row)

    def known(self, name: str) -> bool:
        """Return whether a model of this name has versions."""
        with self._database.read() as connection:
            return bool(versions_of(connection, self._project, MODELS, name))

    def route(self, reference: Reference) -> Route:
        """Return the versions that get the requests for a reference; raises NotFound, BadModel."""
        with self._database.read() as connection:
            return route_of(connection, self._project, reference)

    def get(self, reference: Reference) -> ModelVersion:
        """Return a version, which may be a rejected one; raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, self._project, MODELS, reference)
            aliases = aliases_of(connection, self._project, row["name"])
        return ModelVersion(
            name=row["name"],
            version=row["version"],
            job=row["job_id"],
            created_at=row["created_at"],
            aliases=tuple(alias.alias for alias in aliases if points_at(alias, row["version"])),
            provider=row["provider"],
            pinned=row["serving"],
            **_description(row),
        )

    def list(self, limit: int, cursor: str | None = None) -> ModelPage:
        """Return a page of the models that have versions, sorted by name."""
        with self._database.read() as connection:
            names, following = names_of(connection, self._project, MODELS, limit, cursor)
            items = tuple(_model(connection, self._project, name) for name in names)
        return ModelPage(items=items, next=following)

    def named(self, name: str) -> Model:
        """Return a model with its versions and aliases; raises NotFound."""
        with self._database.read() as connection:
            return _model(connection, self._project, name)

    def delete(self, reference: Reference) -> None:
        """Delete a version; raises NotFound, or Conflict while an alias or a live job uses it."""
        with self._database.write() as connection:
            row = find_version(connection, self._project, MODELS, reference, "own")
            pinned = Reference(name=row["name"], version=row["version"])
            for alias in aliases_of(connection, self._project, row["name"]):
                if points_at(alias, row["version"]):
                    raise Conflict(f"the alias {alias.alias!r} points at {pinned}; move or delete it first")
            require_unused(connection, self._project, str(pinned), "model", "start")
            delete_version(connection, self._project, MODELS, pinned)
            self._record(connection, AuditAction.DELETE, str(pinned))
            release_uploads(connection, self._project, row["job_id"], self._database.now(), self._actor)

    def set_alias(self, model: str, alias: str, version: int) -> Alias:
        """Point an alias at one version; raises what `split_alias` raises."""
        return self.split_alias(model, alias, Traffic(versions={version: 100}))

    def split_alias(self, model: str, alias: str, traffic: Traffic) -> Alias:
        """Replace the versions that an alias points at, atomically.

        Raises NotFound, BadModel for a rejected version, or Invalid for an alias that looks like a version number.
        """
        if alias.isdecimal():
            raise Invalid(f"{model}@{alias} means a version; give the alias a letter")
        with self._database.write() as connection:
            pointed = point(connection, self._project, model, alias, traffic, self._database.now())
            self._record(connection, AuditAction.PROMOTE, f"{model}@{alias}", text_of(traffic))
            return pointed

    def delete_alias(self, model: str, alias: str) -> None:
        """Delete an alias; raises NotFound."""
        with self._database.write() as connection:
            remove(connection, self._project, model, alias)
            self._record(connection, AuditAction.DELETE, f"{model}@{alias}")

    def pin_variant(self, reference: Reference, variant: VariantName) -> ModelVersion:
        """Let this variant of a version serve; return the version.

        Raises NotFound, also if the version does not have the variant, and BadModel for a rejected version.
        """
        with self._database.write() as connection:
            row = find_version(connection, self._project, MODELS, reference)
            manifest = manifest_of(row)
            if artifact_of(manifest, variant) is None:
                names = ", ".join(dict.fromkeys(["fp32", *(file.name for file in manifest.variants)]))
                raise NotFound(f"{row['name']}@{row['version']} has no variant {variant}; it has {names}")
            set_serving(connection, row, variant)
            self._record(connection, AuditAction.CHANGE, f"{row['name']}@{row['version']}", f"serves {variant}")
        return self.get(reference)

    def unpin_variant(self, reference: Reference, variant: VariantName) -> ModelVersion:
        """Let the variant serve that training chose; return the version.

        Raises NotFound, or Conflict if another variant is pinned. A version without a pinned variant stays as it is.
        """
        with self._database.write() as connection:
            row = find_version(connection, self._project, MODELS, reference)
            if row["serving"] not in (None, variant):
                raise Conflict(f"{row['name']}@{row['version']} has {row['serving']} pinned, not {variant}")
            set_serving(connection, row, None)
            detail = "serves the variant that training chose"
            self._record(connection, AuditAction.CHANGE, f"{row['name']}@{row['version']}", detail)
        return self.get(reference)

    def quarantine(self, reference: Reference, reason: str) -> None:
        """Let a version no longer serve, with the reason; a version that was deleted meanwhile is ignored."""
        with contextlib.suppress(NotFound), self._database.write() as connection:
            _set_quarantine(connection, self._project, reference, reason)

    def quarantined(self, reference: Reference) -> str | None:
        """Return why a version is quarantined, or None if it is not; raises NotFound, BadModel."""
        return self.manifest(reference)[1].quarantined

    def lift_quarantine(self, reference: Reference) -> ModelVersion:
        """Let a version serve again; return it. Raises NotFound, or BadModel for a rejected version."""
        with self._database.write() as connection:
            _set_quarantine(connection, self._project, reference, None)
            self._record(connection, AuditAction.CHANGE, str(reference), "quarantine lifted")
        return self.get(reference)

    def note_provider(self, model: str, version: int, provider: str) -> None:
        """Record the execution provider with which a replica loaded a version."""
        table = model_versions.c
        of_version = (table.project == self._project) & (table.name == model) & (table.version == version)
        with self._database.write() as connection:
            connection.execute(update(model_versions).where(of_version).values(provider=provider))

    def _record(self, connection: Connection, action: AuditAction, reference: str, detail: str = "") -> None:
        record(connection, self._actor, action, f"models/{reference}", self._database.now(), detail)


def text_of(traffic: Traffic) -> str:
    """Return text like `version 3`, or `versions 1: 90 %, 2: 10 %, shadow 3`."""
    one = len(traffic.versions) == 1
    shares = ", ".join(str(version) if one else f"{version}: {share} %" for version, share in traffic.versions.items())
    shadow = "" if traffic.shadow is None else f", shadow {traffic.shadow}"
    return f"{'version' if one else 'versions'} {shares}{shadow}"


def traffic_of(detail: str) -> Traffic | None:
    """Return the traffic in the audit trail's text of a promotion, None if it was cut off."""
    match = re.fullmatch(r"versions? (\d+(?:: \d+ %)?(?:, \d+: \d+ %)*)(?:, shadow (\d+))?", detail)
    if match is None:
        return None
    parts = (part.removesuffix(" %").partition(": ") for part in match[1].split(", "))
    shares = {version: share or "100" for version, _, share in parts}
    try:
        versions = {int(version): int(share) for version, share in shares.items()}
        return Traffic(versions=versions, shadow=int(match[2]) if match[2] else None)
    except ValueError:
        return None


def _description(row: RowMapping) -> dict[str, Any]:
    if row["manifest"] is None:
        return {"status": "rejected", "reason": row["rejected"]}
    manifest = manifest_of(row)
    shared = set(ModelVersion.model_fields) & set(ModelManifest.model_fields)
    described = {"trained_on": manifest.device} | {field: getattr(manifest, field) for field in shared}
    if manifest.quarantined is not None:
        described |= {"status": "quarantined", "reason": manifest.quarantined}
    return described


def _set_quarantine(connection: Connection, project: str, reference: Reference, reason: str | None) -> None:
    row = find_version(connection, project, MODELS, reference)
    manifest_of(row)  # raises BadModel
    changed = ModelManifest.model_validate(row["manifest"]).model_copy(update={"quarantined": reason})
    change_manifest(connection, project, MODELS, reference, changed.model_dump(mode="json"))


def _model(connection: Connection, project: str, name: str) -> Model:
    named = (models.c.project == project) & (models.c.name == name)
    created_at = connection.execute(select(models.c.created_at).where(named)).scalar_one_or_none()
    table = model_versions.c
    columns = select(table.version, table.rejected).where(table.project == project, table.name == name)
    versions = connection.execute(columns.order_by(table.version.desc())).all()
    if created_at is None or not versions:
        raise NotFound(f"there is no model {name}")
    return Model(
        name=name,
        versions=tuple(row.version for row in versions if row.rejected is None),
        rejected=tuple(row.version for row in versions if row.rejected is not None),
        aliases=aliases_of(connection, project, name),
        created_at=created_at,
    )
