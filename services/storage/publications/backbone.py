"""A backbone job publishes the next version of a backbone: ready, or rejected if the job failed because it is bad."""

from datetime import datetime

from sqlalchemy import Connection

from contract.backbones import BackboneManifest
from contract.errors import BadModel, TidepoolError
from contract.jobs import Job
from contract.kinds.backbone import BackboneResult, BackboneSpec
from services.storage.catalog.backbones import register_backbone, register_rejected_backbone
from services.storage.catalog.names import require_free_name
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: BackboneManifest, now: datetime) -> Columns:
    name = BackboneSpec.model_validate(job.spec).backbone
    require_free_name(connection, job.project, name)
    reference = register_backbone(connection, job.project, name, manifest, job.id, now)
    return {"result": BackboneResult(backbone=str(reference), status="ready").model_dump(mode="json")}


def reject(connection: Connection, job: Job, error: TidepoolError, now: datetime) -> Columns:
    """Register a rejected version if the error is BadModel; otherwise register nothing."""
    if not isinstance(error, BadModel):
        return {}
    name = BackboneSpec.model_validate(job.spec).backbone
    reference = register_rejected_backbone(connection, job.project, name, error.message, job.id, now)
    return {"result": BackboneResult(backbone=str(reference), status="rejected").model_dump(mode="json")}


register(Publication("backbone", publish, reject))
