"""Versions of datasets, models and backbones in a project: numbers count up and are never reused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, Text, cast, delete, insert, select, update

from contract.errors import BadModel, Conflict, NotFound
from contract.jobs import LIVE, JobKind
from contract.references import Noun, Reference, references_in
from contract.training import ModelManifest
from contract.variants import VariantName
from services.storage.inserts import insert_for
from services.storage.references import Owner, add_references, drop_references, owned
from services.storage.tables import (
    alias_weights,
    backbone_versions,
    backbones,
    dataset_versions,
    datasets,
    jobs,
    model_versions,
    models,
)

Lock = Literal["own", "shared"]
"""A lock of a version's row: `own` to delete it, `shared` to let nobody delete it."""


@dataclass(frozen=True)
class Family:
    """A table of names and the table of their versions."""

    noun: str
    names: Table
    versions: Table
    owner: Owner


DATASETS = Family("dataset", datasets, dataset_versions, Owner.DATASET_VERSION)
MODELS = Family("model", models, model_versions, Owner.MODEL_VERSION)
BACKBONES = Family("backbone", backbones, backbone_versions, Owner.BACKBONE_VERSION)


def add_version(
    connection: Connection, project: str, family: Family, name: str, now: datetime, **values: Any
) -> Reference:
    """Insert the next version of `name`, and `name` if it is new; register the objects that `values` refer to."""
    fresh = insert_for(connection, family.names).values(project=project, name=name, last_version=0, created_at=now)
    connection.execute(fresh.on_conflict_do_nothing())
    version = connection.execute(
        update(family.names)
        .where(family.names.c.project == project, family.names.c.name == name)
        .values(last_version=family.names.c.last_version + 1)
        .returning(family.names.c.last_version)
    ).scalar_one()
    row = {"project": project, "name": name, "version": version, "created_at": now}
    connection.execute(insert(family.versions).values(row | values))
    reference = Reference(name=name, version=version)
    add_references(connection, family.owner, owned(project, reference), values)
    return reference


def change_manifest(
    connection: Connection, project: str, family: Family, reference: Reference, manifest: dict[str, Any]
) -> None:
    """Replace the manifest of a pinned version; register the objects that it refers to."""
    connection.execute(update(family.versions).where(_is(family, project, reference)).values(manifest=manifest))
    add_references(connection, family.owner, owned(project, reference), manifest)


def delete_version(connection: Connection, project: str, family: Family, reference: Reference) -> None:
    """Delete the row of a pinned version, and its references to objects."""
    connection.execute(delete(family.versions).where(_is(family, project, reference)))
    drop_references(connection, family.owner, owned(project, reference))


def find_version(
    connection: Connection, project: str, family: Family, reference: Reference, lock: Lock | None = None
) -> RowMapping:
    """Return the row of the version that a reference resolves to, locked until the commit or not; raises NotFound.

    A bare name resolves to the newest version that was not rejected, an alias to the version with the largest weight.
    """
    table = family.versions
    query = select(table).where(table.c.project == project, table.c.name == reference.name)
    if reference.version is not None:
        query = query.where(table.c.version == reference.version)
    elif reference.alias is not None and family is MODELS:
        shares = alias_weights.c
        joined = (shares.project == table.c.project) & (shares.model == table.c.name)
        joined &= shares.version == table.c.version
        query = query.join(alias_weights, joined & (shares.alias == reference.alias)).order_by(shares.weight.desc())
    elif reference.alias is not None:
        raise NotFound(f"{family.noun}s have no aliases; write {reference.name}@ and a version number")
    elif family is not DATASETS:
        query = query.where(table.c.rejected.is_(None))
    query = query.order_by(table.c.version.desc()).limit(1)
    if lock is not None:
        query = query.with_for_update(read=lock == "shared", of=table)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(f"there is no {family.noun} {reference}")
    return row


def manifest_of(row: RowMapping) -> ModelManifest:
    """Return the manifest in a model version's row, with the pinned variant as the one that serves.

    Raises BadModel if the version was rejected.
    """
    if row["rejected"] is not None:
        raise BadModel(f"{row['name']}@{row['version']} was rejected: {row['rejected']}")
    manifest = ModelManifest.model_validate(row["manifest"])
    return manifest if row["serving"] is None else manifest.model_copy(update={"serving": row["serving"]})


def set_serving(connection: Connection, row: RowMapping, variant: VariantName | None) -> None:
    """Pin the variant that serves for a model version, or none."""
    version = _is(MODELS, row["project"], Reference(name=row["name"], version=row["version"]))
    connection.execute(update(model_versions).where(version).values(serving=variant))


def versions_of(connection: Connection, project: str, family: Family, name: str) -> tuple[int, ...]:
    """Return the version numbers of a name, newest first."""
    table = family.versions
    query = select(table.c.version).where(table.c.project == project, table.c.name == name)
    return tuple(connection.execute(query.order_by(table.c.version.desc())).scalars())


def names_of(
    connection: Connection, project: str, family: Family, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return a page of names that have versions, and the cursor of the next page."""
    names, versions = family.names.c.name, family.versions.c
    with_versions = names.in_(select(versions.name).where(versions.project == project))
    query = select(names).where(family.names.c.project == project, with_versions).order_by(names).limit(limit + 1)
    if cursor is not None:
        query = query.where(names > cursor)
    page = list(connection.execute(query).scalars())
    return page[:limit], page[limit - 1] if len(page) > limit else None


def require_unused(connection: Connection, project: str, reference: str, *nouns: Noun) -> None:
    """Raise Conflict if the spec of a job that has not ended refers to the version (`name@version`) as one of these."""
    live = select(jobs.c.kind, jobs.c.spec).where(jobs.c.project == project, jobs.c.state.in_(LIVE))
    live = live.where(jobs.c.parent_id.is_(None))
    mentions = live.where(cast(jobs.c.spec, Text).contains(reference, autoescape=True))  # so that few are parsed
    for kind, spec in connection.execute(mentions):
        used = references_in(JobKind(kind).definition.spec.model_validate(spec))
        if any(text == reference and noun in nouns for noun, text in used):
            raise Conflict(f"a job that has not ended uses {reference}; cancel it or wait")


def _is(family: Family, project: str, reference: Reference) -> ColumnElement[bool]:
    """Return the condition for the row of a pinned version."""
    table = family.versions.c
    return (table.project == project) & (table.name == reference.name) & (table.version == reference.version)
