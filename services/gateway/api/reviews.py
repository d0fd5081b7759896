"""/v1/reviews: the queue of images that people review."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from fastapi.openapi.models import Example

from contract.errors import Unauthenticated
from contract.reviews import (
    LeaseRequest,
    ReviewAnswerRequest,
    ReviewBatch,
    ReviewItem,
    ReviewPage,
    ReviewProgress,
    ReviewSource,
    ReviewState,
)
from services.gateway.api.idempotency import CanRepeat
from services.gateway.api.images import FILE_CACHE, image_files
from services.gateway.dependencies import (
    MAY_READ,
    MAY_REVIEW,
    BackendsDep,
    CallerDep,
    Cursor,
    Limit,
    NameQuery,
    StoresDep,
)
from services.gateway.edge.problems import documented
from services.gateway.images.formats import MEDIA_TYPES, media_type_of
from services.gateway.images.library import Library
from services.gateway.images.reviewed import ReviewedImages
from services.storage.people.queue import ReviewFilter
from services.storage.people.rows import Reviewer

REVIEWER_HEADER = "Tidepool-Reviewer"
NEXT = {"Cache-Control": "no-store"}  # each answer leases other images


async def require_same_person(request: Request, caller: CallerDep) -> None:
    """Raise Unauthenticated if the page that sends the request was opened with another key or in another project.

    It keeps a person's answers then, instead of sending them as somebody else's.
    """
    person = request.headers.get(REVIEWER_HEADER)
    if person is not None and person != f"{caller.key_id}@{caller.project}":
        raise Unauthenticated("this browser is signed in with another key or in another project now; sign in again")


router = APIRouter(prefix="/v1/reviews", tags=["reviews"], dependencies=[Depends(require_same_person)])

ItemId = Annotated[str, Path(max_length=64)]
DatasetQuery = Annotated[
    str | None,
    Query(max_length=127, description="A dataset, such as `pets`, or one of its versions, such as `pets@3`."),
]
LEASE = "01a227d2-48e2-71d7-9842-9495ec9ea8a6"
ANSWERS: dict[str, Example] = {
    "label": {"summary": "It is a cat", "value": {"lease": LEASE, "label": "cat"}},
    "new": {"summary": "It is of a new class", "value": {"lease": LEASE, "label": "cats", "new": True}},
    "not_any": {"summary": "It shows none of the classes", "value": {"lease": LEASE, "not_any": True}},
    "skip": {"summary": "I cannot tell", "value": {"lease": LEASE, "skip": True}},
}


async def get_reviewer(caller: CallerDep) -> Reviewer:
    """Return the caller as a reviewer."""
    return Reviewer(caller.key_id, caller.key.name)


ReviewerDep = Annotated[Reviewer, Depends(get_reviewer)]


@router.get("/next", dependencies=MAY_REVIEW, responses=documented())
def next_reviews(
    stores: StoresDep,
    reviewer: ReviewerDep,
    response: Response,
    count: Annotated[int, Query(ge=1, le=50)] = 1,
    model: NameQuery = None,
    dataset: DatasetQuery = None,
) -> ReviewBatch:
    """Get images to review, the most doubtful first; they are yours for two minutes."""
    response.headers.update(NEXT)
    return stores.reviews.batch(reviewer, count, ReviewFilter(model=model, dataset=dataset))


@router.get("/progress", dependencies=MAY_REVIEW, responses=documented())
def get_progress(stores: StoresDep) -> ReviewProgress:
    """How many images wait and were reviewed, by whom, and how much people agree."""
    return stores.reviews.progress()


@router.get("", dependencies=MAY_READ, responses=documented())
def list_reviews(
    stores: StoresDep,
    state: ReviewState | None = None,
    source: ReviewSource | None = None,
    model: NameQuery = None,
    dataset: DatasetQuery = None,
    disagreement: Annotated[
        bool, Query(description="Only open images to which people gave different answers.")
    ] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ReviewPage:
    """Images of the queue with people's answers, newest first."""
    where = ReviewFilter(model, dataset, source, state)
    return stores.reviews.list(where, limit, cursor, disagreement=disagreement)


@router.post("/undo", dependencies=MAY_REVIEW, responses=documented(404, 409))
def undo_review(stores: StoresDep, reviewer: ReviewerDep, repeat: CanRepeat) -> ReviewItem:
    """Take back your last answer; you hold the image again, unless somebody else does. Repeat to go further back."""
    return stores.reviews.undo(reviewer, once=repeat.once())


@router.post("/{item_id}", dependencies=MAY_REVIEW, responses=documented(404, 409, 413, 415))
def answer_review(
    item_id: ItemId,
    request: Annotated[ReviewAnswerRequest, Body(openapi_examples=ANSWERS)],
    stores: StoresDep,
    reviewer: ReviewerDep,
) -> ReviewItem:
    """Answer: the label, `not_any` or `skip`, with the lease of the image. Sending it twice has no further effect."""
    return stores.reviews.answer(item_id, request.lease, reviewer, request.answer, new=request.new)


@router.post("/{item_id}/lease", dependencies=MAY_REVIEW, responses=documented(404, 409, 413, 415))
def extend_lease(item_id: ItemId, request: LeaseRequest, stores: StoresDep, reviewer: ReviewerDep) -> ReviewItem:
    """Hold an image for two minutes from now on, or for `seconds`; 0 gives it back."""
    return stores.reviews.extend(item_id, request.lease, reviewer, request.seconds)


@router.get(
    "/{item_id}/image",
    dependencies=MAY_REVIEW,
    response_class=Response,
    responses=image_files(*MEDIA_TYPES),
)
async def get_review_image(item_id: ItemId, backends: BackendsDep, stores: StoresDep) -> Response:
    """The original image, or a JPEG of at most 256 pixels if browsers cannot show its format or it cannot be read.

    The audit trail has an entry for each view.
    """
    images = ReviewedImages(stores.reviews, Library(stores, backends.stores.objects, backends.indexes))
    file = await to_thread.run_sync(images.read, item_id, limiter=backends.image_limiter)
    headers = {"Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(file, headers=FILE_CACHE | headers, media_type=media_type_of(file))
