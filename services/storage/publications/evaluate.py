"""An evaluate job publishes its report, and its file of rows for download."""

from datetime import datetime

from sqlalchemy import Connection

from contract.jobs import Job
from contract.kinds.evaluate import EvaluateResult, EvaluationOutput
from contract.kinds.predict import OutputInfo
from services.storage.jobs.erased import require_unerased
from services.storage.jobs.publication import Columns, Publication, register


def publish(connection: Connection, job: Job, output: EvaluationOutput, _now: datetime) -> Columns:
    require_unerased(connection, job)
    artifact = output.artifact
    file = OutputInfo(size=artifact.size, sha256=artifact.sha256)
    result = EvaluateResult(**dict(output.report), output=file)
    return {"result": result.model_dump(mode="json"), "output": artifact.model_dump(mode="json")}


register(Publication("evaluate", publish))
