"""A vet job publishes the next version of a model: ready, or rejected if the job failed because the model is bad."""

from datetime import datetime

from sqlalchemy import Connection

from contract.errors import BadModel, TidepoolError
from contract.jobs import Job
from contract.kinds.vet import VetResult, VetSpec
from contract.training import ModelManifest
from services.storage.catalog.models import register_model, register_rejected
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: ModelManifest, now: datetime) -> Columns:
    spec = VetSpec.model_validate(job.spec)
    reference = register_model(connection, job.project, spec.model, manifest, job.id, now)
    return {"result": VetResult(model=str(reference), status="ready").model_dump(mode="json")}


def reject(connection: Connection, job: Job, error: TidepoolError, now: datetime) -> Columns:
    """Register a rejected version if the error is BadModel; otherwise register nothing."""
    if not isinstance(error, BadModel):
        return {}
    spec = VetSpec.model_validate(job.spec)
    reference = register_rejected(connection, job.project, spec.model, error.message, job.id, now)
    return {"result": VetResult(model=str(reference), status="rejected").model_dump(mode="json")}


register(Publication("vet", publish, reject))
