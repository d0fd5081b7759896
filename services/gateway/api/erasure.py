"""/v1/images/{sha256}: what in a project holds an image, and its erasure."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Response

from contract.image_index import ImageHolding
from contract.jobs import Job
from services.gateway.api.images import HashPath
from services.gateway.api.jobs import located
from services.gateway.dependencies import MAY_READ, MAY_WRITE, BackendsDep, StoresDep
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id
from services.gateway.images.everywhere import Everywhere

router = APIRouter(prefix="/v1/images", tags=["data"])


async def get_everywhere(backends: BackendsDep, stores: StoresDep) -> Everywhere:
    """Return the search in the caller's project."""
    return Everywhere(stores, backends.stores.objects, backends.indexes)


EverywhereDep = Annotated[Everywhere, Depends(get_everywhere)]


@router.get("/{sha256}", dependencies=MAY_READ, responses=documented(404))
async def get_holding(sha256: HashPath, backends: BackendsDep, everywhere: EverywhereDep) -> ImageHolding:
    """The dataset versions, models, predictions and evaluations of the project that hold an image."""
    return await to_thread.run_sync(everywhere.holding, sha256, limiter=backends.image_limiter)


@router.delete("/{sha256}", status_code=202, dependencies=MAY_WRITE, responses=documented(404, 409))
async def erase_image(sha256: HashPath, response: Response, backends: BackendsDep, everywhere: EverywhereDep) -> Job:
    """Erase an image everywhere in the project, by a job; models are marked, since weights do not forget.

    While it runs, a repetition gets the same job. Copies of the image that were sampled for review have hashes of their
    own, also in dataset versions; each is erased by a job of its own, and the answer is the last of these jobs.
    """
    request_id = current_request_id()
    job = await to_thread.run_sync(everywhere.erase, sha256, request_id, limiter=backends.image_limiter)
    return located(job, response)
