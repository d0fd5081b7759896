"""A train job publishes the next version of its model."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.train import TrainResult, TrainSpec
from contract.training import ModelManifest
from services.storage.catalog.models import register_model
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: ModelManifest, now: datetime) -> Columns:
    spec = TrainSpec.model_validate(job.spec)
    reference = register_model(connection, spec.model, manifest, job.id, now)
    return {"result": TrainResult.of(reference, manifest).model_dump(mode="json")}


register(Publication("train", publish))
