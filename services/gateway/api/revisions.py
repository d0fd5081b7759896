"""/v1/datasets/{name}/versions: versions that are made from another one, and what differs between two."""

from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from contract.base import Frozen
from contract.datasets import TestSplit
from contract.jobs import Job
from contract.kinds.revise import ReviseRequest, ReviseSpec, RevisionChanges
from contract.references import Reference, ReferenceText
from contract.revisions import MOST_CHANGES, DiffKind, ImageChange, VersionDiff
from services.gateway.api.idempotency import CanRepeat, Repeatable
from services.gateway.api.images import VersionDep
from services.gateway.api.jobs import located
from services.gateway.dependencies import (
    MAY_READ,
    MAY_WRITE,
    Backends,
    BackendsDep,
    Cursor,
    Limit,
    NamePath,
    StoresDep,
    VersionPath,
)
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id
from services.gateway.images.differences import Differences
from services.gateway.images.library import Library
from services.storage.pinning import pinned
from services.storage.stores import ProjectStores

router = APIRouter(prefix="/v1/datasets/{name}/versions/{version}", tags=["data"])


class RevisionRequest(RevisionChanges):
    """A version `parent` of the dataset, and what is to differ from it."""

    parent: ReferenceText


class ImageChanges(Frozen):
    """Changes of images of a version; see the spec of a revise job."""

    changes: Annotated[tuple[ImageChange, ...], Field(min_length=1, max_length=MOST_CHANGES)]
    test_split: TestSplit = "frozen"
    empty_classes: Literal["refuse", "drop"] = "refuse"


@router.patch("/images", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
async def change_images(
    name: NamePath,
    version: VersionDep,
    changes: ImageChanges,
    response: Response,
    backends: BackendsDep,
    stores: StoresDep,
    repeat: CanRepeat,
) -> Job:
    """Make the dataset's next version, in which images have other labels or are removed; the version stays as it is."""
    request = RevisionRequest(parent=str(version), **dict(changes))
    job = await run_in_threadpool(revise, name, request, backends, stores, repeat)
    return located(job, response)


@router.get("/diff/{base}", dependencies=MAY_READ, responses=documented(404, 409))
async def get_diff(
    name: NamePath,
    version: VersionDep,
    base: VersionPath,
    backends: BackendsDep,
    stores: StoresDep,
    change: Annotated[DiffKind | None, Query(description="Only images that differ in this way.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> VersionDiff:
    """Images that were added, removed, relabelled or moved to another split since the version `base`."""
    differences = Differences(Library(stores, backends.stores.objects, backends.indexes))
    other = Reference(name=name, version=base)
    return await to_thread.run_sync(
        differences.page, version, other, limit, cursor, change, limiter=backends.image_limiter
    )


def revise(name: str, request: RevisionRequest, backends: Backends, stores: ProjectStores, repeat: Repeatable) -> Job:
    """Submit the job; raises NotFound for an unknown parent or upload, and Invalid for images that it does not have."""
    job = ReviseRequest(kind="revise", spec=ReviseSpec(dataset=name, **dict(request)))
    fixed = pinned(job, stores)
    assert isinstance(fixed, ReviseRequest)  # noqa: S101  `pinned` returns a copy
    hashes = [change.sha256 for change in request.changes]
    if hashes:
        library = Library(stores, backends.stores.objects, backends.indexes)
        library.require_all(Reference.parse(fixed.spec.parent), hashes)
    return stores.jobs.create(fixed, current_request_id(), repeat.once(request.model_dump_json()))
