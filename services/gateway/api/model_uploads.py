"""/v1/models/{name}/versions: uploads of ONNX models."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.jobs import Job, JobRequest
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetSpec
from contract.references import UploadSource
from services.gateway.api.jobs import located
from services.gateway.api.submission import Submission, SubmissionDep
from services.gateway.dependencies import MAY_WRITE, NamePath
from services.gateway.edge.forms import MULTIPART, json_part, parts, two_parts
from services.gateway.edge.problems import COMPONENTS, documented

router = APIRouter(prefix="/v1/models", tags=["models"])

_PARTS = {
    "type": "object",
    "required": ["model"],
    "additionalProperties": False,
    "properties": {
        "model": {"type": "string", "format": "binary", "description": "An ONNX file, with its weights in it."},
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "labels": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 128}},
                "preprocessing": {"$ref": COMPONENTS + ImageInput.__name__},
            },
            "description": "With both, the model can classify images.",
            "examples": [
                {
                    "labels": ["cat", "dog"],
                    "preprocessing": {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
                }
            ],
        },
    },
}
_FORM = {"schema": _PARTS, "encoding": {"metadata": {"contentType": "application/json"}}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {MULTIPART: _FORM}}}


@router.post(
    "/{name}/versions",
    status_code=202,
    dependencies=MAY_WRITE,
    responses=documented(409, 413, 415),
    openapi_extra=REQUEST_BODY,
)
async def upload_version(name: NamePath, request: Request, response: Response, submission: SubmissionDep) -> Job:
    """Upload an ONNX model; a vetting job makes it the next version, ready or rejected with a reason."""
    # read here, because the framework would read the body before it checks the key
    async with parts(request, max_files=2) as form:
        model, text = await two_parts(form, "model", "metadata")
        metadata = json_part(ModelMetadata, "metadata", text)
        return located(await run_in_threadpool(_accept, name, model, metadata, submission), response)


def _accept(name: str, model: UploadFile, metadata: ModelMetadata, submission: Submission) -> Job:
    def request_for(source: UploadSource) -> JobRequest:
        return VetRequest(kind="vet", spec=VetSpec(model=name, source=source, **dict(metadata)))

    return submission.submit(model, request_for, metadata.model_dump_json())
