"""/v1/models/{name}/versions: any ONNX model, brought by a person."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.jobs import Job, JobRequest
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetSpec
from contract.uploads import UploadSource
from services.gateway.api.idempotency import CanRepeat, Repeatable
from services.gateway.api.jobs import located
from services.gateway.api.submission import submitted
from services.gateway.dependencies import MAY_WRITE, Backends, Behind, NamePath
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
            "description": "With both, the model can be asked about pictures.",
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
async def upload_version(
    name: NamePath, request: Request, response: Response, behind: Behind, repeat: CanRepeat
) -> Job:
    """Upload an ONNX model; a vetting job makes it the next version, ready or rejected with a reason."""
    # the endpoint reads the body, not the framework, which would before it has looked at the key
    async with parts(request, max_files=2) as form:
        model, said = await two_parts(form, "model", "metadata")
        metadata = json_part(ModelMetadata, "metadata", said)
        return located(await run_in_threadpool(_accept, name, model, metadata, behind, repeat), response)


def _accept(name: str, model: UploadFile, metadata: ModelMetadata, behind: Backends, repeat: Repeatable) -> Job:
    def wanted(source: UploadSource) -> JobRequest:
        return VetRequest(kind="vet", spec=VetSpec(model=name, source=source, **dict(metadata)))

    return submitted(model, wanted, metadata.model_dump_json(), behind, repeat)
