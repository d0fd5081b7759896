"""/v1/models/{name}/versions: uploads of ONNX models."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.errors import Invalid
from contract.jobs import Job, JobKind, JobRequest
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetSpec
from contract.references import UploadSource
from services.gateway.api.jobs import located
from services.gateway.api.submission import Submission, SubmissionDep
from services.gateway.dependencies import MAY_WRITE, NamePath
from services.gateway.edge.forms import MULTIPART, files_and_document, json_part, parts
from services.gateway.edge.problems import COMPONENTS, documented

router = APIRouter(prefix="/v1/models", tags=["models"])

_LABEL = {"type": "string", "minLength": 1, "maxLength": 128}
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
                "labels": {
                    "anyOf": [
                        {"type": "array", "items": _LABEL, "uniqueItems": True},
                        {"type": "object", "additionalProperties": _LABEL},
                    ],
                    "description": "Labels of the outputs, in order, or an object by class number.",
                },
                "preprocessing": {"$ref": COMPONENTS + ImageInput.__name__},
                "output": {
                    "enum": ["logits", "probabilities"],
                    "description": "What the outputs are; found by running the model if left out.",
                },
                "samples": {
                    "type": "object",
                    "description": "One set of inputs to try the model on: nested lists by name of the input.",
                },
            },
            "description": "With labels and preprocessing, the model can classify images.",
            "examples": [
                {
                    "labels": ["cat", "dog"],
                    "preprocessing": {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
                }
            ],
        },
        "samples": {
            "type": "string",
            "format": "binary",
            "description": "An .npz file with one array for each input, in place of `metadata.samples`.",
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
    await submission.admit(JobKind.VET, model=name)
    async with parts(request, max_files=3) as form:
        files, text = await files_and_document(form, "model", "metadata", "samples")
        metadata = json_part(ModelMetadata, "metadata", text)
        if metadata.samples is not None and len(files) > 1:
            raise Invalid("send the samples either in the part `metadata` or as the part `samples`")
        return located(await run_in_threadpool(_accept, name, files, metadata, submission), response)


def _accept(name: str, files: list[UploadFile], metadata: ModelMetadata, submission: Submission) -> Job:
    def request_for(source: UploadSource, samples: UploadSource | None = None) -> JobRequest:
        spec = VetSpec(model=name, source=source, samples_file=samples, **dict(metadata))
        return VetRequest(kind="vet", spec=spec)

    model, *samples = files
    return submission.submit(model, request_for, metadata.model_dump_json(), *samples)
