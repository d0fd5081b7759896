"""/v1/datasets"""

from typing import Annotated

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from contract.artifacts import Bucket, upload_key
from contract.base import Frozen
from contract.catalog import Dataset, DatasetVersion
from contract.datasets import SplitSpec
from contract.images import ImageSpec
from contract.jobs import Job, JobKind, PreprocessRequest, PreprocessSpec, UploadSource
from contract.references import Reference
from services.gateway.dependencies import MAY_READ, MAY_WRITE, Behind, Cursor, Limit, NamePath, VersionPath
from services.gateway.problems import documented
from services.gateway.request_id import current_request_id
from services.storage.datasets import DatasetPage
from services.storage.uploads import new_upload_id

router = APIRouter(prefix="/v1/datasets", tags=["data"])


class Preparation(Frozen):
    """How an archive's pictures are normalised and split."""

    image: ImageSpec = ImageSpec()
    split: SplitSpec = SplitSpec()


@router.post("/{name}/versions", status_code=202, dependencies=MAY_WRITE, responses=documented(413))
def upload_version(
    name: NamePath,
    archive: Annotated[UploadFile, File(description="A zip: class folders, split folders, or a CSV manifest.")],
    response: Response,
    behind: Behind,
    spec: Annotated[
        str, Form(description="JSON.", examples=['{"image": {"size": [32, 32]}, "split": {"seed": 1}}'])
    ] = "{}",
) -> Job:
    """Upload an archive; a preprocessing job turns it into the next version of the data set."""
    try:
        preparation = Preparation.model_validate_json(spec)
    except ValidationError as error:
        faults = [{**fault, "loc": ("body", "spec", *fault["loc"])} for fault in error.errors(include_url=False)]
        raise RequestValidationError(faults) from error
    ref = behind.stores.objects.put_stream(Bucket.UPLOADS, upload_key(new_upload_id()), archive.file)
    upload = behind.stores.uploads.add(archive.filename or "archive.zip", ref)
    source = UploadSource(upload=upload.id)
    work = PreprocessSpec(dataset=name, source=source, image=preparation.image, split=preparation.split)
    job = behind.stores.jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=work), current_request_id())
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("", dependencies=MAY_READ, responses=documented())
def list_datasets(behind: Behind, limit: Limit = 50, cursor: Cursor = None) -> DatasetPage:
    """Data sets, by name."""
    return behind.stores.datasets.list(limit, cursor)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_dataset(name: NamePath, behind: Behind) -> Dataset:
    """A data set and its versions."""
    return behind.stores.datasets.named(name)


@router.get("/{name}/versions/{version}", dependencies=MAY_READ, responses=documented(404))
def get_version(name: NamePath, version: VersionPath, behind: Behind) -> DatasetVersion:
    """Classes, counts by split and class, shape, mean and std, rejected files with reasons, thumbnails."""
    return behind.stores.datasets.get(Reference(name=name, version=version))


@router.delete("/{name}/versions/{version}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_version(name: NamePath, version: VersionPath, behind: Behind) -> None:
    """Delete a version that no live job uses."""
    behind.stores.datasets.delete(Reference(name=name, version=version))
