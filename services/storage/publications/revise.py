"""A revise job publishes the next version of its dataset, and marks the reviews that are in it."""

from datetime import datetime

from sqlalchemy import Connection

from contract.datasets import DatasetManifest, Revision
from contract.jobs import Job
from contract.kinds.revise import RevisedDataset, ReviseResult, ReviseSpec
from contract.references import Reference, UploadSource
from services.storage.catalog.datasets import register_dataset
from services.storage.catalog.upload_uses import add_uses
from services.storage.catalog.uploads import add_stored
from services.storage.catalog.versions import DATASETS, find_version
from services.storage.jobs.erased import require_unerased
from services.storage.jobs.publication import Columns, Publication, register
from services.storage.people.queue import mark_applied


def publish(connection: Connection, job: Job, outcome: RevisedDataset, now: datetime) -> Columns:
    require_unerased(connection, job)
    spec = ReviseSpec.model_validate(job.spec)
    reference, manifest, revision = _version(connection, job, spec, outcome, now)
    if outcome.reviews:
        mark_applied(connection, job.project, outcome.reviews, reference)
    result = ReviseResult.of(reference, manifest, revision, len(outcome.reviews))
    return {"result": result.model_dump(mode="json")}


def _version(
    connection: Connection, job: Job, spec: ReviseSpec, outcome: RevisedDataset, now: datetime
) -> tuple[Reference, DatasetManifest, Revision]:
    """Register the new version with its uploads; without one, return the parent."""
    manifest = outcome.manifest
    if manifest is None or manifest.revision is None:
        parent = Reference.parse(spec.parent)
        row = find_version(connection, job.project, DATASETS, parent)
        same = Revision(parent=spec.parent, relabelled=0, added=0, removed=0, test_split=spec.test_split)
        return parent, DatasetManifest.model_validate(row["manifest"]), same
    if (added := outcome.originals) is not None:
        filename = f"added-to-{spec.dataset}.zip"
        add_stored(connection, job.project, added.upload, filename, added.file, now)
    uploads = {one.source.upload for one in manifest.originals if isinstance(one.source, UploadSource)}
    add_uses(connection, job.project, job.id, uploads)
    reference = register_dataset(connection, job.project, spec.dataset, manifest, job.id, now)
    return reference, manifest, manifest.revision


register(Publication("revise", publish))
