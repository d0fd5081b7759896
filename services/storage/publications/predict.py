"""A predict job publishes its file of predictions, for download."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.predict import OutputInfo, PredictionOutput, PredictResult
from services.storage.jobs.erased import require_unerased
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, output: PredictionOutput, _now: datetime) -> Columns:
    require_unerased(connection, job)
    artifact = output.artifact
    result = PredictResult(
        count=output.count,
        failed=output.failed,
        output=OutputInfo(size=artifact.size, sha256=artifact.sha256),
        metrics=output.metrics,
        model_variant=output.model_variant,
    )
    return {"result": result.model_dump(mode="json"), "output": artifact.model_dump(mode="json")}


register(Publication("predict", publish))
