"""What becomes visible when a job succeeds, inside the transaction that finishes it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from contract.batches import OutputInfo, PredictionOutput, PredictResult, PredictSpec
from contract.datasets import DatasetManifest
from contract.jobs import Job, PreprocessResult, PreprocessSpec, TrainResult
from contract.training import ModelManifest, TrainSpec
from services.storage.datasets import register_dataset
from services.storage.models import register_model

Manifest = DatasetManifest | ModelManifest | PredictionOutput


def publish(connection: Connection, job: Job, manifest: Manifest, now: datetime) -> dict[str, Any]:
    """Register what the job made; the columns of its row that say so."""
    match job.parsed_spec(), manifest:
        case PreprocessSpec() as spec, DatasetManifest():
            reference = register_dataset(connection, spec.dataset, manifest, job.id, now)
            return {"result": PreprocessResult.of(reference, manifest).model_dump(mode="json")}
        case TrainSpec() as spec, ModelManifest():
            reference = register_model(connection, spec.model, manifest, job.id, now)
            return {"result": TrainResult.of(reference, manifest).model_dump(mode="json")}
        case PredictSpec(), PredictionOutput():
            artifact = manifest.artifact
            result = PredictResult(
                count=manifest.count,
                failed=manifest.failed,
                output=OutputInfo(size=artifact.size, sha256=artifact.sha256),
                metrics=manifest.metrics,
            )
            return {"result": result.model_dump(mode="json"), "output": artifact.model_dump(mode="json")}
    raise TypeError(f"a {job.kind} job cannot publish a {type(manifest).__name__}")
