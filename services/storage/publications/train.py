"""A train job publishes the next version of its model."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.train import TrainResult, TrainSpec
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.catalog.erasure import erased_before, without_image
from services.storage.catalog.features import keep_features
from services.storage.catalog.models import register_model
from services.storage.jobs.erased import erased_during
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: ModelManifest, now: datetime) -> Columns:
    spec = TrainSpec.model_validate(job.spec)
    manifest = _marked(connection, job, manifest)
    if manifest.features is not None:
        keep_features(connection, job.project, Reference.parse(spec.dataset).name, manifest.features, now)
        manifest = manifest.model_copy(update={"features": None})
    reference = register_model(connection, job.project, spec.model, manifest, job.id, now)
    return {"result": TrainResult.of(reference, manifest).model_dump(mode="json")}


def _marked(connection: Connection, job: Job, manifest: ModelManifest) -> ModelManifest:
    """Count the erased images that the weights were trained with; drop lists and features that have them."""
    erased = erased_during(connection, job)
    parent = manifest.lineage.parent if manifest.lineage else None
    count = len(erased) + erased_before(connection, job.project, parent)
    if erased:
        document = manifest.model_dump(mode="json") | {"features": None}
        for sha256 in erased:
            document = without_image(document, sha256)
        manifest = ModelManifest.model_validate(document)
    return manifest.model_copy(update={"trained_on_erased": count}) if count else manifest


register(Publication("train", publish))
