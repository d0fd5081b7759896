"""/review: one image after the other for a person to label; /review/queue: how far the queue is, and what comes of it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from contract.base import NAME_PATTERN
from contract.reviews import ReviewSource
from services.gateway.console.pages import page, redirect
from services.gateway.console.viewer import MAY_REVIEW, MAY_SEE, Viewer, ViewerDep
from services.storage.people.reviews import ReviewFilter
from services.storage.people.rows import Reviewer
from services.storage.screens.reviews import ReviewScreens, Standing

router = APIRouter(include_in_schema=False)

RECENT = 30  # answers that the queue's page shows
DAY = timedelta(days=1)
SOURCES: dict[ReviewSource, str] = {
    "margin": "the model was unsure",
    "random": "chosen at random",
    "disagreement": "champion and shadow disagreed",
    "feedback": "an application said otherwise",
    "label_errors": "the label may be wrong",
    "predictions": "unsure in a batch prediction",
    "duplicates": "the same image has two labels",
}

Model = Annotated[str, Query(pattern=rf"^$|{NAME_PATTERN}")]
Dataset = Annotated[str, Query(max_length=80, pattern=r"^$|^[a-z0-9][a-z0-9._\-]{0,62}(@[1-9][0-9]{0,9})?$")]


@router.get("/review", dependencies=MAY_REVIEW)
def review(request: Request, viewer: ViewerDep, model: Model = "", dataset: Dataset = "") -> Response:
    """The review screen, for all items or for those of a model or a dataset."""
    now = viewer.stores.database.now()
    standing = _standing(viewer, now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0), model, dataset)
    return page(
        request,
        viewer,
        "review.html",
        screen="review",
        filters={"model": model, "dataset": dataset},
        standing=standing,
        today=standing.of(viewer.caller.key_id),
        kappa=viewer.stores.reviews.progress().kappa,
        sources=SOURCES,
    )


@router.get("/review/progress", dependencies=MAY_REVIEW)
def progress(viewer: ViewerDep, since: datetime, model: Model = "", dataset: Dataset = "") -> dict[str, object]:
    """What is left for the person, and who has answered how much since a time of the last day, such as midnight."""
    now = viewer.stores.database.now()
    since = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    standing = _standing(viewer, max(since, now - DAY), model, dataset)
    own = viewer.caller.key_id
    others = [{"name": share.name, "count": share.count} for share in standing.shares if share.reviewer != own]
    return {"left": standing.left, "today": standing.of(own), "others": others[:5]}


@router.get("/review/queue", dependencies=MAY_SEE)
def queue(request: Request, viewer: ViewerDep) -> Response:
    """The queue in numbers, who did what, and the newest answers."""
    reviews = viewer.stores.reviews
    numbers = reviews.progress()
    return page(
        request,
        viewer,
        "review_queue.html",
        screen="review",
        progress=numbers,
        recent=ReviewScreens(viewer.stores.database, viewer.caller.project).recent(RECENT),
        sources=SOURCES,
    )


@router.post("/review/undo", dependencies=MAY_REVIEW)
def undo(viewer: ViewerDep) -> Response:
    """Take back the person's own last answer."""
    key = viewer.caller.key
    viewer.stores.reviews.undo(Reviewer(key.id, key.name))
    return redirect("/review/queue", "Your last answer is undone; its image is in the queue again.")


def _standing(viewer: Viewer, since: datetime, model: str, dataset: str) -> Standing:
    where = ReviewFilter(model=model or None, dataset=dataset or None)
    return ReviewScreens(viewer.stores.database, viewer.caller.project).standing(viewer.caller.key_id, since, where)
