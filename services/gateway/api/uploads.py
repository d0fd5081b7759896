"""/v1/uploads: large files, in parts through the gateway, or directly to the object store by presigned URLs."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field, StringConstraints, field_validator
from starlette.concurrency import run_in_threadpool

from contract.artifacts import Bucket, upload_key
from contract.base import Frozen, Positive, Sha256
from contract.catalog import Upload
from contract.errors import Invalid, NotFound, TooLarge
from services.gateway.api.idempotency import CanRepeat
from services.gateway.dependencies import MAY_WRITE, BackendsDep, StoresDep
from services.gateway.edge.problems import documented
from services.storage.catalog.upload_parts import MOST_PARTS, UploadParts, part_size
from services.storage.catalog.uploads import new_upload_id, require_announced_size

router = APIRouter(prefix="/v1/uploads", tags=["data"])

UploadPath = Annotated[str, Path(max_length=64)]
PartPath = Annotated[int, Path(ge=1, le=MOST_PARTS)]
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_PART: dict[str, Any] = {"requestBody": {"required": True, "content": _BINARY}}


class NewUploadRequest(Frozen):
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    size: Positive
    sha256: Sha256 | None = None

    @field_validator("size", mode="before")
    @classmethod
    def _check_size(cls, size: object) -> object:
        if type(size) is int and size == 0:
            raise ValueError("the file is empty")
        return size


class NewUpload(Upload):
    url: str = Field(
        description="PUT the file here within an hour, with its size as the Content-Length; then POST to "
        "/v1/uploads/{id}/complete."
    )
    part_size: Positive = Field(description="The bytes of each part but the last, if you send the file in parts.")


class PartSize(Frozen):
    """A part that is stored."""

    number: Positive
    size: Positive


class StoredParts(Frozen):
    """What of an upload need not be sent again."""

    complete: bool
    part_size: Positive
    parts: tuple[PartSize, ...]


class PartUrl(Frozen):
    url: str = Field(description="PUT the part here within an hour, with its size as the Content-Length.")


def get_parts(upload_id: UploadPath, backends: BackendsDep, stores: StoresDep) -> UploadParts:
    """Return the parts of an upload; raises NotFound."""
    return UploadParts(stores.uploads, backends.stores.objects, stores.uploads.get(upload_id), stores.project)


PartsDep = Annotated[UploadParts, Depends(get_parts)]


@router.post("", status_code=201, dependencies=MAY_WRITE, responses=documented(409, 413, 415))
def announce(request: NewUploadRequest, backends: BackendsDep, stores: StoresDep, repeat: CanRepeat) -> NewUpload:
    """Announce a file and get a presigned URL for it."""
    if request.size > backends.settings.max_upload_bytes:
        raise TooLarge(f"an upload may have at most {backends.settings.max_upload_bytes} bytes")
    once = repeat.once(request.model_dump_json())
    upload = stores.uploads.expect(new_upload_id(), request.filename, request.size, request.sha256, once)
    key = upload_key(upload.id, stores.project)
    url = backends.stores.objects.upload_url(Bucket.UPLOADS, key, upload.size)
    return NewUpload(**upload.model_dump(), url=url, part_size=part_size(upload.size))


@router.get("/{upload_id}/parts", dependencies=MAY_WRITE, responses=documented(404))
def list_parts(parts: PartsDep) -> StoredParts:
    """Which parts of an upload are stored, so that an interrupted one goes on with the others."""
    stored = tuple(PartSize(number=part.number, size=part.size) for part in parts.stored())
    return StoredParts(complete=parts.complete, part_size=parts.part_size, parts=stored)


@router.put(
    "/{upload_id}/parts/{number}",
    status_code=204,
    dependencies=MAY_WRITE,
    responses=documented(404, 409, 413),
    openapi_extra=_PART,
)
async def put_part(number: PartPath, request: Request, parts: PartsDep) -> None:
    """Send a part through the gateway: `part_size` bytes of the file, the last one the rest; again if it broke off."""
    length = request.headers.get("content-length", "")
    parts.require_size(number, int(length) if length.isdecimal() else parts.size_of(number))
    chunks = [chunk async for chunk in request.stream()]  # at most what BodyLimit permits
    data = b"".join(chunks)
    chunks.clear()  # while the part is stored, it is in memory once
    await run_in_threadpool(parts.put, number, data)


@router.post("/{upload_id}/parts/{number}/url", dependencies=MAY_WRITE, responses=documented(404, 409))
def presign_part(number: PartPath, parts: PartsDep) -> PartUrl:
    """Get a presigned URL, to send a part directly to the object store."""
    return PartUrl(url=parts.url(number))


@router.delete("/{upload_id}", status_code=204, dependencies=MAY_WRITE, responses=documented(404, 409))
def delete_upload(upload_id: UploadPath, stores: StoresDep, parts: PartsDep) -> None:
    """Delete an upload that no job and no version needs; one of a version goes with the version."""
    begun = parts.begun
    stores.uploads.delete(upload_id)
    parts.abort(begun)


@router.post("/{upload_id}/complete", status_code=201, dependencies=MAY_WRITE, responses=documented(404, 409))
def complete(upload_id: UploadPath, backends: BackendsDep, stores: StoresDep, parts: PartsDep) -> Upload:
    """Check the uploaded file against its announcement; after that a job can use it."""
    upload, objects = stores.uploads.get(upload_id), backends.stores.objects
    key = upload_key(upload_id, stores.project)
    parts.join()
    try:
        size = objects.size(Bucket.UPLOADS, key)
    except NotFound:
        raise NotFound("the file was not uploaded yet; PUT it to the `url` of the upload, or send its parts") from None
    require_announced_size(upload, size)  # before all of it is read
    try:
        return stores.uploads.complete(upload_id, objects.adopt(Bucket.UPLOADS, key))
    except Invalid:  # other bytes than were announced, which a second try must not take for parts that are stored
        if not upload.complete:
            objects.remove(Bucket.UPLOADS, [key])
        raise
