"""The only place that turns a job's row into the job that anybody may see, and back."""

from datetime import datetime
from typing import Any

import uuid_utils
from sqlalchemy import RowMapping

from contract.batches import PredictSpec, SplitInput
from contract.jobs import Job, JobError, JobSpec, JobState, PreprocessSpec, Progress
from contract.references import Reference
from contract.training import TrainSpec
from contract.vetting import VetSpec


def job_of(row: RowMapping) -> Job:
    """The public view of a job's row."""
    error = JobError(code=row["error_code"], message=row["error_message"]) if row["error_code"] else None
    return Job(
        id=row["id"],
        kind=row["kind"],
        state=row["state"],
        spec=row["spec"],
        progress=Progress(fraction=row["progress"], message=row["progress_message"]),
        priority=row["priority"],
        attempt=row["attempt"],
        max_attempts=row["max_attempts"],
        result=row["result"],
        error=error,
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        deadline_at=row["deadline_at"],
    )


def fresh(now: datetime) -> dict[str, Any]:
    """The columns that every new row begins with."""
    return {
        "id": str(uuid_utils.uuid7()),
        "state": JobState.QUEUED,
        "attempt": 0,
        "failures": 0,
        "fence": 0,
        "run_at": now,
        "rung_at": now,
        "cancel_requested": False,
        "progress": 0.0,
        "progress_message": "",
        "created_at": now,
    }


def subject_of(spec: JobSpec) -> dict[str, Any]:
    """The names of the data set and the model that a job is about, for filters."""
    match spec:
        case PreprocessSpec():
            return {"dataset": spec.dataset, "model": None}
        case TrainSpec():
            return {"dataset": Reference.parse(spec.dataset).name, "model": spec.model}
        case PredictSpec():
            source = spec.input
            dataset = Reference.parse(source.dataset).name if isinstance(source, SplitInput) else None
            return {"dataset": dataset, "model": Reference.parse(spec.model).name}
        case VetSpec():
            return {"dataset": None, "model": spec.model}
