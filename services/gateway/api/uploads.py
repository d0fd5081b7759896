"""/v1/uploads: presigned URLs, with which clients upload large files directly to the object store."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field, StringConstraints

from contract.artifacts import Bucket, upload_key
from contract.base import Frozen, Positive, Sha256
from contract.catalog import Upload
from contract.errors import TooLarge
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_WRITE, BackendsDep, StoresDep
from services.gateway.edge.problems import documented
from services.storage.catalog.uploads import new_upload_id, require_announced_size

router = APIRouter(prefix="/v1/uploads", tags=["data"])

UploadPath = Annotated[str, Path(max_length=64)]


class NewUploadRequest(Frozen):
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    size: Positive
    sha256: Sha256 | None = None


class NewUpload(Upload):
    url: str = Field(
        description="PUT the file here within an hour, with its size as the Content-Length; then POST to "
        "/v1/uploads/{id}/complete."
    )


@router.post("", status_code=201, dependencies=MAY_WRITE, responses=documented(409, 413, 415))
def announce(request: NewUploadRequest, backends: BackendsDep, stores: StoresDep, repeat: CanRepeat) -> NewUpload:
    """Announce a file and get a presigned URL for it."""
    if request.size > backends.settings.max_upload_bytes:
        raise TooLarge(f"an upload may have at most {backends.settings.max_upload_bytes} bytes")
    once = repeat.once(request.model_dump_json())
    upload = stores.uploads.expect(new_upload_id(), request.filename, request.size, request.sha256, once)
    key = upload_key(upload.id, stores.project)
    url = backends.stores.objects.upload_url(Bucket.UPLOADS, key, upload.size)
    return NewUpload(**upload.model_dump(), url=url)


@router.delete("/{upload_id}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_upload(upload_id: UploadPath, stores: StoresDep) -> None:
    """Delete an upload that no job and no version needs; one of a version goes with the version."""
    stores.uploads.delete(upload_id)


@router.post("/{upload_id}/complete", status_code=201, dependencies=MAY_WRITE, responses=documented(404, 409))
def complete(upload_id: UploadPath, backends: BackendsDep, stores: StoresDep) -> Upload:
    """Check the uploaded file against its announcement; after that a job can use it."""
    upload, objects = stores.uploads.get(upload_id), backends.stores.objects
    key = upload_key(upload_id, stores.project)
    require_announced_size(upload, objects.size(Bucket.UPLOADS, key))  # before all of it is read
    return stores.uploads.complete(upload_id, objects.adopt(Bucket.UPLOADS, key))
