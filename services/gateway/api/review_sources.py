"""/v1/reviews/sources and /v1/feedback: images for the review queue, and what applications learn about images."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Body
from fastapi.openapi.models import Example

from contract.reviews import FeedbackRequest, FeedbackResult, ReviewSourceRequest, SourceResult
from services.gateway.api.idempotency import CanRepeat
from services.gateway.api.reviews import ReviewerDep
from services.gateway.dependencies import MAY_GIVE_FEEDBACK, MAY_WRITE, BackendsDep, StoresDep
from services.gateway.edge.problems import documented
from services.storage.jobs.idempotency import repeated_answer
from services.storage.people.review_sources import ReviewSources

router = APIRouter(prefix="/v1", tags=["reviews"])

JOB = "01a227d2-48e2-71d7-9842-9495ec9ea8a6"
SOURCES: dict[str, Example] = {
    "evaluation": {
        "summary": "Likely label errors that an evaluation has found",
        "value": {"source": "label_errors", "evaluation": JOB, "limit": 100},
    },
    "training": {
        "summary": "Likely label errors that the newest training on a dataset has found",
        "value": {"source": "label_errors", "dataset": "cifar10@1"},
    },
    "predictions": {
        "summary": "Doubtful images of a batch prediction",
        "value": {"source": "predictions", "job": JOB, "below": 0.6, "limit": 500},
    },
    "duplicates": {
        "summary": "Images that have several labels, answered by two people each",
        "value": {"source": "duplicates", "dataset": "cifar10", "votes": 2},
    },
}


@router.post("/reviews/sources", dependencies=MAY_WRITE, responses=documented(404, 409, 413, 415))
async def add_source(
    request: Annotated[ReviewSourceRequest, Body(openapi_examples=SOURCES)],
    backends: BackendsDep,
    stores: StoresDep,
    repeat: CanRepeat,
) -> SourceResult:
    """Put images into the review queue, the most doubtful first. Those that are in it already are left out."""
    once = repeat.once(request.model_dump_json())

    def add() -> SourceResult:
        if once is not None and (earlier := repeated_answer(stores.database, once)):
            return SourceResult.model_validate(earlier)
        return stores.reviews.bring(ReviewSources(stores, backends.stores.objects).find(request), once)

    return await to_thread.run_sync(add, limiter=backends.image_limiter)


@router.post("/feedback", dependencies=MAY_GIVE_FEEDBACK, responses=documented(413, 415))
def give_feedback(request: FeedbackRequest, stores: StoresDep, client: ReviewerDep) -> FeedbackResult:
    """Say what an image that was predicted really shows; `prediction` is the id in the answer to the prediction.

    For an image that was sampled for review, this is an answer of this key.
    """
    return stores.feedback.give(request, client)
