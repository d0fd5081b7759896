"""/v1/datasets: uploads of archives, and the versions made from them."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.base import Frozen
from contract.catalog import Dataset, DatasetVersion
from contract.datasets import SplitSpec
from contract.errors import UnsupportedMedia
from contract.images import ImageRequest
from contract.jobs import Job, JobKind, JobRequest
from contract.kinds.preprocess import LayoutSpec, PreprocessRequest, PreprocessSpec
from contract.references import DatasetSource, Reference, UploadSource
from services.gateway.api.jobs import located
from services.gateway.api.revisions import RevisionRequest, revise
from services.gateway.api.submission import Submission, SubmissionDep
from services.gateway.dependencies import (
    MAY_READ,
    MAY_WRITE,
    BackendsDep,
    Cursor,
    Limit,
    NamePath,
    StoresDep,
    VersionPath,
)
from services.gateway.edge.forms import JSON, MULTIPART, json_body, json_part, media_type, parts, two_parts
from services.gateway.edge.json_text import parse_json
from services.gateway.edge.problems import COMPONENTS, documented
from services.gateway.edge.request_id import current_request_id
from services.storage.catalog.datasets import DatasetPage
from services.storage.pinning import pinned
from services.storage.stores import ProjectStores

router = APIRouter(prefix="/v1/datasets", tags=["data"])


class Preparation(Frozen):
    """How an archive's images are normalized and split."""

    image: ImageRequest = ImageRequest()
    split: SplitSpec = SplitSpec()
    layout: LayoutSpec = LayoutSpec()
    strict: Annotated[bool, Field(strict=True)] = False


class SourcePreparation(Preparation):
    """A preparation of files that are stored already: an S3 prefix, or a complete upload."""

    source: DatasetSource


def _schema(kind: type[Frozen]) -> dict[str, Any]:
    schema = kind.model_json_schema(ref_template=COMPONENTS + "{model}")
    return {key: value for key, value in schema.items() if key != "$defs"}


_PARTS = {
    "type": "object",
    "required": ["archive"],
    "additionalProperties": False,
    "properties": {
        "archive": {
            "type": "string",
            "format": "binary",
            "description": "A zip or a tar: class folders, split folders, or a CSV manifest.",
        },
        "spec": _schema(Preparation)
        | {
            "description": "As in the spec of a preprocess job.",
            "examples": [{"image": {"size": [32, 32]}, "split": {"seed": 1}}],
        },
    },
}
_CONTENT = {
    MULTIPART: {"schema": _PARTS, "encoding": {"spec": {"contentType": JSON}}},
    JSON: {
        "schema": {"oneOf": [_schema(SourcePreparation), _schema(RevisionRequest)]},
        "examples": {
            "source": {
                "summary": "Prepare the objects below a prefix",
                "value": {"source": {"s3": "s3://photos/pets"}, "image": {"size": [32, 32]}},
            },
            "revision": {
                "summary": "Apply the answers of people to a version",
                "value": {"parent": "pets@3", "reviews": "all"},
            },
        },
    },
}
REQUEST_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": _CONTENT}}


@router.post(
    "/{name}/versions",
    status_code=202,
    dependencies=MAY_WRITE,
    responses=documented(404, 409, 413, 415),
    openapi_extra=REQUEST_BODY,
)
async def create_version(
    name: NamePath,
    request: Request,
    response: Response,
    submission: SubmissionDep,
    backends: BackendsDep,
    stores: StoresDep,
) -> Job:
    """Upload an archive, name an S3 prefix that has the images, or name a version and what is to differ from it.

    A job makes the dataset's next version.
    """
    # read here, because the framework would read the body before it checks the key
    await submission.admit(JobKind.PREPROCESS, JobKind.REVISE, dataset=name)
    match media_type(request.headers.get("content-type", "")):
        case "application/json":
            body = await request.body()
            document = parse_json(body)
            if isinstance(document, dict) and "parent" in document:
                revision = json_body(RevisionRequest, body)
                job = await run_in_threadpool(revise, name, revision, backends, stores, submission.repeat)
            else:
                preparation = json_body(SourcePreparation, body)
                job = await run_in_threadpool(_accept_source, name, preparation, stores, submission)
        case "multipart/form-data":
            async with parts(request, max_files=2) as form:
                archive, spec = await two_parts(form, "archive", "spec")
                upload = json_part(Preparation, "spec", spec)
                job = await run_in_threadpool(_accept_archive, name, archive, upload, submission)
        case _:
            raise UnsupportedMedia(
                f"send an archive as {MULTIPART}, or the source of the images or a parent version as {JSON}"
            )
    return located(job, response)


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


def _accept_archive(name: str, archive: UploadFile, preparation: Preparation, submission: Submission) -> Job:
    def request_for(source: UploadSource) -> JobRequest:
        spec = PreprocessSpec(dataset=name, source=source, **dict(preparation))
        return PreprocessRequest(kind="preprocess", spec=spec)

    return submission.submit(archive, request_for, preparation.model_dump_json())


def _accept_source(name: str, preparation: SourcePreparation, stores: ProjectStores, submission: Submission) -> Job:
    spec = PreprocessSpec(dataset=name, **dict(preparation))
    request = pinned(PreprocessRequest(kind="preprocess", spec=spec), stores)
    once = submission.repeat.once(preparation.model_dump_json())
    return stores.jobs.create(request, current_request_id(), once)
