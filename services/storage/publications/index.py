"""An index job adds an index of images to a dataset version."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.index import DatasetIndex, IndexResult, IndexSpec
from contract.references import Reference
from services.storage.catalog.datasets import add_index
from services.storage.jobs.erased import require_unerased
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, outcome: DatasetIndex, _now: datetime) -> Columns:
    require_unerased(connection, job)
    dataset = IndexSpec.model_validate(job.spec).dataset
    add_index(connection, job.project, Reference.parse(dataset), outcome)
    result = IndexResult(dataset=dataset, indexed=outcome.indexed, missing=outcome.missing)
    return {"result": result.model_dump(mode="json")}


register(Publication("index", publish))
