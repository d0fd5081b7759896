"""/v1/datasets: uploads of archives, and the versions made from them."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.base import Frozen
from contract.catalog import Dataset, DatasetVersion
from contract.datasets import SplitSpec
from contract.images import ImageRequest
from contract.jobs import Job, JobRequest
from contract.kinds.preprocess import LayoutSpec, PreprocessRequest, PreprocessSpec
from contract.references import Reference, UploadSource
from services.gateway.api.jobs import located
from services.gateway.api.submission import Submission, SubmissionDep
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Cursor, Limit, NamePath, StoresDep, VersionPath
from services.gateway.edge.forms import MULTIPART, json_part, parts, two_parts
from services.gateway.edge.problems import COMPONENTS, documented
from services.storage.catalog.datasets import DatasetPage

router = APIRouter(prefix="/v1/datasets", tags=["data"])


class Preparation(Frozen):
    """How an archive's images are normalized and split."""

    image: ImageRequest = ImageRequest()
    split: SplitSpec = SplitSpec()
    layout: LayoutSpec = LayoutSpec()
    strict: Annotated[bool, Field(strict=True)] = False


_PARTS = {
    "type": "object",
    "required": ["archive"],
    "additionalProperties": False,
    "properties": {
        "archive": {
            "type": "string",
            "format": "binary",
            "description": "A zip: class folders, split folders, or a CSV manifest.",
        },
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "image": {"$ref": COMPONENTS + ImageRequest.__name__},
                "split": {"$ref": COMPONENTS + SplitSpec.__name__},
                "layout": {"$ref": COMPONENTS + LayoutSpec.__name__},
                "strict": {"type": "boolean", "default": False},
            },
            "description": "As in the spec of a preprocess job.",
            "examples": [{"image": {"size": [32, 32]}, "split": {"seed": 1}}],
        },
    },
}
_FORM = {"schema": _PARTS, "encoding": {"spec": {"contentType": "application/json"}}}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {MULTIPART: _FORM}}}


@router.post(
    "/{name}/versions",
    status_code=202,
    dependencies=MAY_WRITE,
    responses=documented(409, 413, 415),
    openapi_extra=REQUEST_BODY,
)
async def upload_version(name: NamePath, request: Request, response: Response, submission: SubmissionDep) -> Job:
    """Upload an archive; a preprocessing job turns it into the next version of the dataset."""
    # read here, because the framework would read the body before it checks the key
    async with parts(request, max_files=2) as form:
        archive, spec = await two_parts(form, "archive", "spec")
        preparation = json_part(Preparation, "spec", spec)
        return located(await run_in_threadpool(_accept, name, archive, preparation, submission), response)


@router.get("", dependencies=MAY_READ, responses=documented())
def list_datasets(stores: StoresDep, limit: Limit = 50, cursor: Cursor = None) -> DatasetPage:
    """Datasets, by name."""
    return stores.datasets.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_dataset(name: NamePath, stores: StoresDep) -> Dataset:
    """A dataset and its versions."""
    return stores.datasets.named(name)


@router.get("/{name}/versions/{version}", dependencies=MAY_READ, responses=documented(404))
def get_version(name: NamePath, version: VersionPath, stores: StoresDep) -> DatasetVersion:
    """Classes, counts by split and class, shape, mean and std, rejected files with reasons, thumbnails."""
    return stores.datasets.get(Reference(name=name, version=version))


@router.delete("/{name}/versions/{version}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_version(name: NamePath, version: VersionPath, stores: StoresDep) -> None:
    """Delete a version that no live job uses."""
    stores.datasets.delete(Reference(name=name, version=version))


def _accept(name: str, archive: UploadFile, preparation: Preparation, submission: Submission) -> Job:
    def request_for(source: UploadSource) -> JobRequest:
        spec = PreprocessSpec(dataset=name, source=source, **dict(preparation))
        return PreprocessRequest(kind="preprocess", spec=spec)

    return submission.submit(archive, request_for, preparation.model_dump_json())
