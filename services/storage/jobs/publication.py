"""What becomes visible when a job ends, inside the transaction that ends it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from contract.batches import OutputInfo, PredictionOutput, PredictResult, PredictSpec
from contract.datasets import DatasetManifest
from contract.errors import BadModel, TidepoolError
from contract.jobs import Job, JobKind, PreprocessResult, PreprocessSpec, TrainResult
from contract.training import ModelManifest, TrainSpec
from contract.vetting import VetResult, VetSpec
from services.storage.catalog.datasets import register_dataset
from services.storage.catalog.models import register_model, register_rejected

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
        case VetSpec() as spec, ModelManifest():
            reference = register_model(connection, spec.model, manifest, job.id, now)
            return {"result": VetResult(model=str(reference), status="ready").model_dump(mode="json")}
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


def reject(connection: Connection, job: Job, error: TidepoolError, now: datetime) -> dict[str, Any]:
    """Register the version that a job for good found to be a bad model; the columns of its row that say so.

    Any other failure leaves nothing behind.
    """
    if job.kind != JobKind.VET or not isinstance(error, BadModel):
        return {}
    spec = VetSpec.model_validate(job.spec)
    reference = register_rejected(connection, spec.model, error.message, job.id, now)
    return {"result": VetResult(model=str(reference), status="rejected").model_dump(mode="json")}
