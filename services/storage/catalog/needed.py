"""What a job's spec refers to, looked up again before the job is repeated."""

from sqlalchemy import Connection, select

from contract.backbones import BackboneManifest
from contract.datasets import DatasetManifest
from contract.errors import Conflict, NotFound, Refused
from contract.kinds.kind import JobSpec, Manifests
from contract.references import Noun, Reference, references_in
from contract.training import ModelManifest
from services.storage.catalog.versions import BACKBONES, DATASETS, MODELS, find_version, manifest_of, versions_of
from services.storage.tables import uploads


def require_needed(connection: Connection, project: str, spec: JobSpec) -> None:
    """Raise Conflict unless everything that a spec refers to still exists, and fits the spec.

    Until the commit, none of it can be deleted. An erasure may have taken the last image of a split.
    """
    datasets, models, backbones = (
        dict[str, DatasetManifest](),
        dict[str, ModelManifest](),
        dict[str, BackboneManifest](),
    )
    missing: list[str] = []
    # versions before uploads, as where a version is deleted: two transactions never wait for each other
    for noun, text in sorted(references_in(spec), key=lambda reference: reference[0] == "upload"):
        try:
            if noun == "upload":
                _require_upload(connection, project, text)
            elif noun == "dataset":
                row = find_version(connection, project, DATASETS, Reference.parse(text), "shared")
                datasets[text] = DatasetManifest.model_validate(row["manifest"])
            elif noun == "start" and versions_of(connection, project, BACKBONES, Reference.parse(text).name):
                row = find_version(connection, project, BACKBONES, Reference.parse(text), "shared")
                backbones[text] = BackboneManifest.model_validate(row["manifest"])
            else:
                models[text] = manifest_of(find_version(connection, project, MODELS, Reference.parse(text), "shared"))
        except NotFound:
            missing.append(f"the {_named(noun)} {text}")
    if missing:
        verb = "was" if len(missing) == 1 else "were"
        raise Conflict(f"the job cannot run again: {' and '.join(missing)} {verb} deleted; submit a new one")
    try:
        spec.check(Manifests(datasets, models, backbones))
    except Refused as error:
        raise Conflict(f"the job cannot run again: {error.message}") from error


def _named(noun: Noun) -> str:
    return "model or backbone" if noun == "start" else noun


def _require_upload(connection: Connection, project: str, upload_id: str) -> None:
    """Lock the row of an upload; raises NotFound."""
    own = (uploads.c.project == project) & (uploads.c.id == upload_id)
    if connection.execute(select(uploads.c.id).where(own).with_for_update(read=True)).one_or_none() is None:
        raise NotFound("there is no such upload")
