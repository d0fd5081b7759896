"""/v1/datasets/{name}/versions/{version}/images: the images of a version."""

from collections.abc import Callable
from functools import partial
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Response

from contract.base import Sha256
from contract.datasets import Split
from contract.image_index import ImageDetails, ImagePage
from contract.references import Reference
from services.gateway.dependencies import MAY_READ, BackendsDep, Cursor, Limit, NamePath, StoresDep, VersionPath
from services.gateway.edge.problems import documented
from services.gateway.images.formats import MEDIA_TYPES, media_type_of
from services.gateway.images.library import Library

router = APIRouter(prefix="/v1/datasets/{name}/versions/{version}/images", tags=["data"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
# An answer never changes, but it ends when the image is erased, so copies are asked for again after an hour.
FILE_CACHE = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}

Result = TypeVar("Result")


class Reader:
    """Runs the library's methods in threads of their own number, so that slow reads hold up no other request."""

    def __init__(self, library: Library, limiter: CapacityLimiter) -> None:
        self._library = library
        self._limiter = limiter

    async def read(self, method: Callable[..., Result], *arguments: Any) -> Result:
        return await to_thread.run_sync(partial(method, self._library, *arguments), limiter=self._limiter)


async def get_reader(backends: BackendsDep, stores: StoresDep) -> Reader:
    """Return the reader of the caller's project."""
    return Reader(Library(stores, backends.stores.objects, backends.indexes), backends.image_limiter)


async def pinned_version(name: NamePath, version: VersionPath) -> Reference:
    """Return the version in the path."""
    return Reference(name=name, version=version)


ReaderDep = Annotated[Reader, Depends(get_reader)]
VersionDep = Annotated[Reference, Depends(pinned_version)]
HashPath = Annotated[Sha256, Path(description="The SHA-256 of the image's bytes as uploaded, in hexadecimal digits.")]
IfNoneMatch = Annotated[str, Header(description="ETags of copies that the client has.")]


def image_files(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """Document an answer that is the file of an image."""
    return documented(404, 409) | {
        200: {"content": dict.fromkeys(media_types, _FILE), "description": "The image."},
        304: {"description": "The client's copy is current."},
    }


@router.get("", dependencies=MAY_READ, responses=documented(404, 409))
async def list_images(
    version: VersionDep,
    reader: ReaderDep,
    split: Split | None = None,
    label: Annotated[str | None, Query(alias="class", max_length=128)] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ImagePage:
    """Images by split, shard and row."""
    return await reader.read(Library.page, version, limit, cursor, split, label)


@router.get("/{sha256}", dependencies=MAY_READ, responses=documented(404, 409))
async def get_image(version: VersionDep, sha256: HashPath, reader: ReaderDep) -> ImageDetails:
    """Where an image occurs, and the versions, models and batch predictions that used it."""
    return await reader.read(Library.details, version, sha256)


@router.get("/{sha256}/thumbnail", dependencies=MAY_READ, response_class=Response, responses=image_files("image/jpeg"))
async def get_thumbnail(
    version: VersionDep, sha256: HashPath, reader: ReaderDep, if_none_match: IfNoneMatch = ""
) -> Response:
    """A JPEG of the prepared image, at most 256 pixels a side."""
    etag = f'"{sha256}-{version}"'
    if etag in if_none_match:
        await reader.read(Library.require, version, sha256)
        return Response(status_code=304, headers=FILE_CACHE | {"ETag": etag})
    file = await reader.read(Library.thumbnail, version, sha256)
    return Response(file, headers=FILE_CACHE | {"ETag": etag}, media_type="image/jpeg")


@router.get("/{sha256}/original", dependencies=MAY_READ, response_class=Response, responses=image_files(*MEDIA_TYPES))
async def get_original(
    version: VersionDep, sha256: HashPath, reader: ReaderDep, if_none_match: IfNoneMatch = ""
) -> Response:
    """The image's bytes as they were uploaded."""
    etag = f'"{sha256}"'
    if etag in if_none_match:
        await reader.read(Library.require, version, sha256)
        return Response(status_code=304, headers=FILE_CACHE | {"ETag": etag})
    path, file = await reader.read(Library.original, version, sha256)
    name = quote(PurePosixPath(path).name, safe="")
    headers = {
        "ETag": etag,
        "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(file, headers=FILE_CACHE | headers, media_type=media_type_of(file))
