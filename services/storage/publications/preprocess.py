"""A preprocess job publishes the next version of its dataset."""

from datetime import datetime

from sqlalchemy import Connection

from contract.datasets import DatasetManifest
from contract.jobs import Job
from contract.kinds.preprocess import PreprocessResult, PreprocessSpec
from services.storage.catalog.datasets import register_dataset
from services.storage.jobs.erased import require_unerased
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, manifest: DatasetManifest, now: datetime) -> Columns:
    require_unerased(connection, job)
    spec = PreprocessSpec.model_validate(job.spec)
    reference = register_dataset(connection, job.project, spec.dataset, manifest, job.id, now)
    return {"result": PreprocessResult.of(reference, manifest).model_dump(mode="json")}


register(Publication("preprocess", publish))
