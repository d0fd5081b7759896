"""Takes an erased image out of the catalog's rows; runs in the transaction that finishes the erase job."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, cast, select, update

from contract.artifacts import ObjectRef
from contract.errors import NotFound, Overtaken
from contract.kinds.erase import ChangedFeatures, ChangedFile, ChangedVersion, Searched
from contract.kinds.preprocess import PreprocessResult
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.catalog.features import drop_file, keep_features
from services.storage.catalog.holdings import archives, cached_features, indexes, outputs
from services.storage.catalog.versions import DATASETS, change_manifest, find_version
from services.storage.references import Owner, add_references, drop_references, owned
from services.storage.tables import dataset_versions, jobs, model_versions


def lock_versions(connection: Connection, project: str) -> None:
    """Let no other transaction change the project's dataset versions until the commit, in particular no erasure."""
    table = dataset_versions.c
    rows = select(table.name, table.version).where(table.project == project).order_by(table.name, table.version)
    connection.execute(rows.with_for_update())


def require_searched(connection: Connection, project: str, searched: Searched, not_searched: Collection[str]) -> None:
    """Raise Overtaken if the project has a version, archive or output that was not searched, because it is new.

    A version of an older release is new when it has got its index.
    """
    known = {False: set(not_searched), True: set(searched.versions)}
    versions = [(str(reference), index is not None) for reference, index in indexes(connection, project).items()]
    late = (
        any(reference not in known[indexed] for reference, indexed in versions)
        or archives(connection, project).keys() - set(searched.uploads)
        or outputs(connection, project).keys() - set(searched.outputs)
    )
    if late:
        raise Overtaken("something new may have the image")


def replace_version(connection: Connection, project: str, changed: ChangedVersion) -> None:
    """Let a dataset version have the new manifest; one that was deleted is ignored.

    Raises Overtaken if the version has changed since it was read.
    """
    reference = Reference.parse(changed.dataset)
    try:
        row = find_version(connection, project, DATASETS, reference)
    except NotFound:
        return
    if row["manifest"]["index"] != changed.before.model_dump(mode="json"):
        raise Overtaken("the version has changed meanwhile")
    drop_references(connection, Owner.DATASET_VERSION, owned(project, reference))
    change_manifest(connection, project, DATASETS, reference, changed.manifest.model_dump(mode="json"))
    made = connection.execute(select(jobs.c.kind, jobs.c.result).where(jobs.c.id == row["job_id"])).one()
    result = PreprocessResult.of(reference, changed.manifest).model_dump(mode="json")
    if made.kind == "revise":
        result = {name: result.get(name, value) for name, value in made.result.items()}
    connection.execute(update(jobs).where(jobs.c.id == row["job_id"]).values(result=result))


def replace_output(connection: Connection, project: str, changed: ChangedFile) -> None:
    """Let a job have another output, with fewer rows; raises Overtaken if it has changed since it was read."""
    own = (jobs.c.project == project) & (jobs.c.id == changed.owner)
    row = connection.execute(select(jobs.c.output, jobs.c.result).where(own).with_for_update()).one_or_none()
    if row is None:
        return
    if row.output != changed.before.model_dump(mode="json"):
        raise Overtaken("the output was rewritten meanwhile")
    file = {"size": changed.after.size, "sha256": changed.after.sha256}
    result = row.result | {"output": file, "count": max(0, row.result["count"] - changed.rows)}
    values = {"output": changed.after.model_dump(mode="json"), "result": result}
    connection.execute(update(jobs).where(own).values(values))
    drop_references(connection, Owner.JOB_OUTPUT, changed.owner)
    add_references(connection, Owner.JOB_OUTPUT, changed.owner, changed.after)


def replace_features(
    connection: Connection, project: str, changes: Iterable[ChangedFeatures], clean: Collection[ObjectRef], now: Any
) -> None:
    """Replace files of features; forget those that were not searched, since trainings can compute them again."""
    replacements = {(change.dataset, change.before.key, change.before.file): change.after for change in changes}
    for (dataset, key), cached in cached_features(connection, project).items():
        after = replacements.get((dataset, key, cached.file))
        if after is not None:
            keep_features(connection, project, dataset, cached.model_copy(update={"file": after}), now)
        elif cached.file not in clean:
            drop_file(connection, project, dataset, key)


def mark_models(connection: Connection, project: str, learned: Collection[str], sha256: str) -> tuple[str, ...]:
    """Count the image in every model that was trained on these versions, or starts from such a model; name them.

    Lists of training images no longer name the image, in any model.
    """
    query = select(model_versions).where(model_versions.c.project == project, model_versions.c.manifest.is_not(None))
    rows = connection.execute(query.order_by(model_versions.c.created_at).with_for_update()).mappings().all()
    marked = {_reference(row) for row in rows if row["dataset"] in learned}
    while more := {_reference(row) for row in rows if _parent(row) in marked} - marked:
        marked |= more
    for row in rows:
        manifest = without_image(row["manifest"], sha256)
        if _reference(row) in marked:
            manifest["trained_on_erased"] = manifest.get("trained_on_erased", 0) + 1
        if manifest != row["manifest"]:
            version = (model_versions.c.project == project) & (model_versions.c.name == row["name"])
            version &= model_versions.c.version == row["version"]
            connection.execute(update(model_versions).where(version).values(manifest=manifest))
    return tuple(_reference(row) for row in reversed(rows) if _reference(row) in marked)


def clean_results(connection: Connection, project: str, sha256: str) -> None:
    """Take the image out of the lists in the results of jobs, such as mistakes and likely label errors."""
    naming = select(jobs.c.id, jobs.c.result).where(jobs.c.project == project, jobs.c.kind != "erase")
    for row in connection.execute(naming.where(cast(jobs.c.result, Text).contains(sha256))).all():
        cleaned = update(jobs).where(jobs.c.id == row.id).values(result=without_image(row.result, sha256))
        connection.execute(cleaned)


def without_image(document: Any, sha256: str) -> Any:
    """Return a JSON document without the list items that are about an image."""
    if isinstance(document, dict):
        return {name: without_image(value, sha256) for name, value in document.items()}
    if isinstance(document, list):
        kept = (item for item in document if not (isinstance(item, dict) and item.get("sha256") == sha256))
        return [without_image(item, sha256) for item in kept]
    return document


def erased_before(connection: Connection, project: str, parent: str | None) -> int:
    """Return how many erased images the model was trained with that a training has started from."""
    query = select(model_versions.c.name, model_versions.c.version, model_versions.c.manifest)
    query = query.where(model_versions.c.project == project, model_versions.c.manifest.is_not(None))
    if parent is None or "@" not in parent:
        return 0
    reference = Reference.parse(parent)
    of_parent = query.where(model_versions.c.name == reference.name, model_versions.c.version == reference.version)
    row = connection.execute(of_parent).one_or_none()
    return 0 if row is None else ModelManifest.model_validate(row.manifest).trained_on_erased


def _reference(row: RowMapping) -> str:
    return f"{row['name']}@{row['version']}"


def _parent(row: RowMapping) -> str | None:
    parent: str | None = (row["manifest"].get("lineage") or {}).get("parent")
    return parent
