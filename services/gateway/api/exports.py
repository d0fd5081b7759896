"""/v1/datasets/{name}/versions/{version}/export: a version in a format of other tools."""

import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from itertools import chain
from typing import Annotated, Any

from anyio import CancelScope, to_thread
from fastapi import APIRouter, Query
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse

from contract.audit import AuditAction
from contract.errors import Overloaded
from contract.revisions import ExportFormat
from services.gateway.api.images import VersionDep
from services.gateway.dependencies import MAY_READ, BackendsDep, Recheck, RecheckDep, StoresDep
from services.gateway.edge.problems import documented
from services.gateway.exports.formats import FORMATS, Chunks, Extras, Format
from services.gateway.exports.predictions import predictions_of
from services.gateway.exports.version_images import VersionImages
from services.gateway.images.library import Library

router = APIRouter(prefix="/v1/datasets/{name}/versions/{version}/export", tags=["data"])

MOST_AT_ONCE = 4  # exports in a gateway; each has up to eight images in memory
RECHECK_S = 30.0

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)
_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            one.media_type: {"schema": {"type": "string", "format": "binary"} if "zip" in one.media_type else {}}
            for one in FORMATS.values()
        },
        "description": "The file; it ends early, without its last chunk, if an image cannot be read.",
    }
}


@router.get("", dependencies=MAY_READ, response_class=StreamingResponse, responses=documented(404, 409) | _FILES)
async def export_dataset(
    version: VersionDep,
    backends: BackendsDep,
    stores: StoresDep,
    recheck: RecheckDep,
    format: Annotated[
        ExportFormat, Query(description="`coco` and `imagefolder` are zips with the originals.")
    ] = "imagefolder",
    image_root: Annotated[
        str | None,
        Query(
            max_length=512,
            description="For `labelstudio`: what comes before `split/class/file` in the address of an image. Label "
            "Studio's local files in a folder that is named like the version, if left out.",
        ),
    ] = None,
    predictions: Annotated[
        str | None,
        Query(max_length=64, description="For `labelstudio`: a batch prediction or evaluation whose answers to add."),
    ] = None,
) -> StreamingResponse:
    """All images of the version, read one by one while they are sent; images that were erased are not there."""
    library = Library(stores, backends.stores.objects, backends.indexes)
    chosen = FORMATS[format]
    folder = f"{version.name}-{version.version}"
    root = f"/data/local-files/?d={folder}/" if image_root is None else image_root
    answers = None
    if predictions is not None:
        answers = await to_thread.run_sync(
            predictions_of, stores, library.objects, predictions, limiter=backends.image_limiter
        )
    images = VersionImages(library, version, await to_thread.run_sync(library.manifest, version))
    chunks = await to_thread.run_sync(_begun, images, chosen, Extras(root, answers), limiter=backends.image_limiter)
    await to_thread.run_sync(stores.audit.add, AuditAction.READ, f"datasets/{version}", f"export as {format}")
    headers = {
        "Content-Disposition": f'attachment; filename="{folder}.{chosen.extension}"',
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_watched(chunks, recheck), media_type=chosen.media_type, headers=headers)


def _begun(images: VersionImages, chosen: Format, extras: Extras) -> Chunks:
    """Return the chunks, of which the first is there, so that most errors are answered as such; raises Overloaded."""
    chunks = _in_slot(chosen.write(images, extras))
    return _with_first(next(chunks), chunks)


def _with_first(first: bytes, chunks: Chunks) -> Chunks:
    with closing(chunks):
        yield from chain([first], chunks)


def _in_slot(chunks: Chunks) -> Chunks:
    if not _slots.acquire(blocking=False):
        raise Overloaded(f"{MOST_AT_ONCE} exports are running; try again when one has ended")
    try:
        with closing(chunks):
            yield from chunks
    finally:
        _slots.release()


async def _watched(chunks: Chunks, recheck: Recheck) -> AsyncIterator[bytes]:
    """Send the chunks, and stop once the key has ended."""
    due = time.monotonic() + RECHECK_S
    try:
        async for chunk in iterate_in_threadpool(chunks):
            yield chunk
            if time.monotonic() > due:
                await recheck()
                due = time.monotonic() + RECHECK_S
    finally:
        with CancelScope(shield=True):  # it waits for the reads that have begun
            await to_thread.run_sync(chunks.close)
