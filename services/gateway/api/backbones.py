"""/v1/backbones: pretrained networks that a training may start from."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.backbones import Backbone, BackboneInput, BackboneMetadata, BackboneVersion
from contract.base import NAME_PATTERN, Name
from contract.jobs import Job, JobKind, JobRequest
from contract.kinds.backbone import BackboneRequest, BackboneSpec
from contract.references import Reference, UploadSource
from services.gateway.api.jobs import located
from services.gateway.api.submission import Submission, SubmissionDep
from services.gateway.dependencies import (
    MAY_READ,
    MAY_WRITE,
    Cursor,
    Limit,
    NamePath,
    StoresDep,
    VersionPath,
)
from services.gateway.edge.forms import MULTIPART, json_part, parts, two_parts
from services.gateway.edge.problems import COMPONENTS, documented
from services.storage.catalog.backbones import BackbonePage

router = APIRouter(prefix="/v1/backbones", tags=["backbones"])

_METADATA = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": NAME_PATTERN, "description": "Not that of a model."},
        "architecture": {
            "enum": ["lite0", "lite1", "lite2", "resnet18", "cnn"],
            "description": "Of a safetensors file; the one that its tensors fit, if left out.",
        },
        "preprocessing": {"$ref": COMPONENTS + BackboneInput.__name__},
        "licence": {"type": "string", "minLength": 1, "maxLength": 200},
    },
    "examples": [
        {
            "name": "resnet18-imagenet",
            "architecture": "resnet18",
            "preprocessing": {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
            "licence": "BSD-3-Clause",
        }
    ],
}
_PARTS = {
    "type": "object",
    "required": ["backbone", "metadata"],
    "additionalProperties": False,
    "properties": {
        "backbone": {
            "type": "string",
            "format": "binary",
            "description": "A safetensors file with the weights of a known architecture, or an ONNX file that maps "
            "images float32 (n, 3, height, width) to features (n, f) or (n, f, 1, 1).",
        },
        "metadata": _METADATA,
    },
}
_FORM = {"schema": _PARTS, "encoding": {"metadata": {"contentType": "application/json"}}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {MULTIPART: _FORM}}}


class NamedMetadata(BackboneMetadata):
    """The metadata of an upload, with the name of the backbone."""

    name: Name


@router.post(
    "", status_code=202, dependencies=MAY_WRITE, responses=documented(409, 413, 415), openapi_extra=REQUEST_BODY
)
async def upload_backbone(request: Request, response: Response, submission: SubmissionDep) -> Job:
    """Bring a pretrained network; a job makes it the next version of a backbone, ready or rejected with a reason."""
    # read here, because the framework would read the body before it checks the key
    await submission.admit(JobKind.BACKBONE)
    async with parts(request, max_files=2) as form:
        file, text = await two_parts(form, "backbone", "metadata")
        metadata = json_part(NamedMetadata, "metadata", text)
        return located(await run_in_threadpool(_accept, file, metadata, submission), response)


@router.get("", dependencies=MAY_READ, responses=documented())
def list_backbones(stores: StoresDep, limit: Limit = 50, cursor: Cursor = None) -> BackbonePage:
    """Backbones, by name: those that come with Tidepool and those that people brought."""
    return stores.backbones.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_backbone(name: NamePath, stores: StoresDep) -> Backbone:
    """A backbone, its versions, and what the newest one takes."""
    return stores.backbones.named(name)


@router.get("/{name}/versions/{version}", dependencies=MAY_READ, responses=documented(404))
def get_backbone_version(name: NamePath, version: VersionPath, stores: StoresDep) -> BackboneVersion:
    """Status, images, features, SHA-256 and licence of a version that a person brought."""
    return stores.backbones.get(Reference(name=name, version=version))


@router.delete("/{name}/versions/{version}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_backbone_version(name: NamePath, version: VersionPath, stores: StoresDep) -> None:
    """Delete a version that no job uses; models that were trained from it stay."""
    stores.backbones.delete(Reference(name=name, version=version))


def _accept(file: UploadFile, metadata: NamedMetadata, submission: Submission) -> Job:
    def request_for(source: UploadSource) -> JobRequest:
        values = {name: getattr(metadata, name) for name in BackboneMetadata.model_fields}
        return BackboneRequest(kind="backbone", spec=BackboneSpec(backbone=metadata.name, source=source, **values))

    return submission.submit(file, request_for, metadata.model_dump_json())
