"""A train job publishes the next version of its model."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.train import TrainResult, TrainSpec
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.catalog.features import keep_features
from services.storage.catalog.models import register_model
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: ModelManifest, now: datetime) -> Columns:
    spec = TrainSpec.model_validate(job.spec)
    if manifest.features is not None:
        keep_features(connection, job.project, Reference.parse(spec.dataset).name, manifest.features, now)
        manifest = manifest.model_copy(update={"features": None})
    reference = register_model(connection, job.project, spec.model, manifest, job.id, now)
    return {"result": TrainResult.of(reference, manifest).model_dump(mode="json")}


register(Publication("train", publish))
