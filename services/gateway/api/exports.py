"""/v1/datasets/{name}/versions/{version}/export: a version in a format of other tools."""

import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from typing import Annotated, Any

from anyio import CancelScope, fail_after, to_thread
from fastapi import APIRouter, Query
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Message, Send

from contract.audit import AuditAction
from contract.errors import Overloaded
from contract.revisions import ExportFormat
from services.gateway.api.images import VersionDep
from services.gateway.dependencies import MAY_READ, BackendsDep, Recheck, RecheckDep, StoresDep
from services.gateway.edge.problems import documented
from services.gateway.exports.formats import FORMATS, Chunks, Extras
from services.gateway.exports.predictions import predictions_of
from services.gateway.exports.version_images import VersionImages
from services.gateway.images.library import Library

router = APIRouter(prefix="/v1/datasets/{name}/versions/{version}/export", tags=["data"])

MOST_AT_ONCE = 4  # exports in a gateway; each has up to eight images in memory
MOST_OF_PROJECT = 2
RECHECK_S = 30.0
PIECE, TAKEN_S = 1 << 20, 60.0  # bytes, and in how long a client must take them; slower ones are disconnected

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
    images = VersionImages(library, version, await to_thread.run_sync(library.manifest, version))

    def write() -> Chunks:
        answers = None if predictions is None else predictions_of(stores, library.objects, predictions)
        return chosen.write(images, Extras(root, answers))

    chunks = await to_thread.run_sync(_begun, stores.project, write, limiter=backends.image_limiter)
    await to_thread.run_sync(stores.audit.add, AuditAction.READ, f"datasets/{version}", f"export as {format}")
    headers = {
        "Content-Disposition": f'attachment; filename="{folder}.{chosen.extension}"',
        "X-Content-Type-Options": "nosniff",
    }
    return _Export(chunks, recheck, media_type=chosen.media_type, headers=headers)


class _Slots:
    """The exports that run in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()  # by project

    @contextmanager
    def one(self, project: str) -> Iterator[None]:
        """Count an export while it runs; raises Overloaded."""
        with self._lock:
            if self._running.total() >= MOST_AT_ONCE:
                raise Overloaded(f"{MOST_AT_ONCE} exports are running; try again when one has ended")
            if self._running[project] >= MOST_OF_PROJECT:
                raise Overloaded(f"{MOST_OF_PROJECT} exports of this project are running; try again when one has ended")
            self._running[project] += 1
        try:
            yield
        finally:
            with self._lock:
                self._running[project] -= 1
                self._running += Counter()  # without those of zero


_slots = _Slots()


class _Export(StreamingResponse):
    """Ends the connection of a client that takes nothing, and closes the chunks at once, for their slot."""

    def __init__(self, chunks: Chunks, recheck: Recheck, **arguments: Any) -> None:
        self._chunks = chunks
        self._pieces = _watched(chunks, recheck)
        super().__init__(self._pieces, **arguments)

    async def stream_response(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            with fail_after(TAKEN_S):
                await send(message)

        try:
            await super().stream_response(send_in_time)
        finally:
            with CancelScope(shield=True):  # it waits for the reads that have begun
                await self._pieces.aclose()
                await to_thread.run_sync(self._chunks.close)


def _begun(project: str, write: Callable[[], Chunks]) -> Chunks:
    """Return the chunks, of which the first is there, so that most errors are answered as such; raises Overloaded."""
    chunks = _in_slot(project, write)
    return _with_first(next(chunks), chunks)


def _with_first(first: bytes, chunks: Chunks) -> Chunks:
    with closing(chunks):
        yield from chain([first], chunks)


def _in_slot(project: str, write: Callable[[], Chunks]) -> Chunks:
    with _slots.one(project), closing(write()) as chunks:
        yield from chunks


async def _watched(chunks: Chunks, recheck: Recheck) -> AsyncGenerator[bytes, None]:
    """Send the chunks, and stop once the key has ended."""
    due = time.monotonic() + RECHECK_S
    async for chunk in iterate_in_threadpool(chunks):
        for start in range(0, len(chunk), PIECE):
            yield chunk[start : start + PIECE]
        if time.monotonic() > due:
            await recheck()
            due = time.monotonic() + RECHECK_S
