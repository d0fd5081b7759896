"""/review: one image after the other for a person to label."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from contract.base import NAME_PATTERN
from contract.reviews import ReviewSource
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_REVIEW, Viewer, ViewerDep
from services.storage.people.queue import ReviewFilter
from services.storage.screens.retraining import RetrainingScreen, Target
from services.storage.screens.reviews import ReviewScreens, Standing
from services.storage.screens.sampling import SamplingScreen

router = APIRouter(include_in_schema=False)

OFFERS = 3
DAY = timedelta(days=1)
SOURCES: dict[ReviewSource, str] = {
    "margin": "the model was unsure",
    "random": "chosen at random",
    "disagreement": "champion and shadow disagreed",
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
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    standing = _standing(viewer, today, model, dataset)
    narrowed = " and ".join(name for name in (model, dataset) if name)
    return page(
        request,
        viewer,
        "review.html",
        screen="review",
        filters={"model": model, "dataset": dataset},
        narrowed=narrowed,
        standing=standing,
        of_all=_standing(viewer, today, "", "").left if narrowed else standing.left,
        today=standing.of(viewer.caller.key_id),
        kappa=viewer.stores.reviews.kappa(),
        sources=SOURCES,
        offers=() if standing.left else offers(viewer),
    )


@router.get("/review/progress", dependencies=MAY_REVIEW)
def progress(viewer: ViewerDep, since: datetime, model: Model = "", dataset: Dataset = "") -> dict[str, object]:
    """Return how many images are open, how many of them this person may answer, and the answers of each person.

    Answers count from `since` on, but from a day ago at the earliest.
    """
    now = viewer.stores.database.now()
    since = since.replace(tzinfo=UTC) if since.tzinfo is None else since
    standing = _standing(viewer, max(since, now - DAY), model, dataset)
    own = viewer.caller.key_id
    others = [{"name": share.name, "count": share.answers} for share in standing.shares if share.reviewer != own]
    return {"left": standing.left, "open": viewer.counts().reviews, "today": standing.of(own), "others": others[:5]}


def offers(viewer: Viewer) -> tuple[Target, ...]:
    """Return aliases whose sampling is off, for an empty queue to turn it on with one click."""
    if not viewer.may_write:
        return ()
    database, project = viewer.stores.database, viewer.caller.project
    sampled = SamplingScreen(database, project).sampled_aliases()
    targets = RetrainingScreen(database, project).targets()
    return tuple(target for target in targets if (target.model, target.alias) not in sampled)[:OFFERS]


def _standing(viewer: Viewer, since: datetime, model: str, dataset: str) -> Standing:
    where = ReviewFilter(model=model or None, dataset=dataset or None)
    return ReviewScreens(viewer.stores.database, viewer.caller.project).standing(viewer.caller.key_id, since, where)
