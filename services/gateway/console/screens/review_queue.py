"""/review/queue: how far the review queue is, who did what, what fills it, and what its answers will change."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from contract.base import first_fault
from contract.errors import Invalid
from contract.reviews import ReviewSourceRequest
from services.gateway.console.formats import plural
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.screens.review import SOURCES, offers
from services.gateway.console.viewer import MAY_CHANGE, MAY_REVIEW, MAY_SEE, Viewer, ViewerDep
from services.storage.people.review_sources import ReviewSources
from services.storage.people.rows import Reviewer
from services.storage.screens.next_versions import NextVersions
from services.storage.screens.reviews import ReviewScreens

router = APIRouter(prefix="/review", include_in_schema=False)

RECENT = 30  # answers that the page shows

_SOURCE: TypeAdapter[ReviewSourceRequest] = TypeAdapter(ReviewSourceRequest)


@router.get("/queue", dependencies=MAY_SEE)
def show_queue(request: Request, viewer: ViewerDep) -> Response:
    """The queue in numbers, the newest answers, and the versions that can be made of them."""
    database, project = viewer.stores.database, viewer.caller.project
    numbers = viewer.stores.reviews.progress()
    versions, homeless = NextVersions(database, project).list()
    return page(
        request,
        viewer,
        "review_queue.html",
        screen="review",
        progress=numbers,
        offers=() if numbers.counts else offers(viewer),
        recent=ReviewScreens(database, project).recent(RECENT),
        versions=versions,
        homeless=homeless,
        sources=SOURCES,
    )


@router.post("/undo", dependencies=MAY_REVIEW)
def undo(viewer: ViewerDep) -> Response:
    """Take back the person's own last answer."""
    key = viewer.caller.key
    viewer.stores.reviews.undo(Reviewer(key.id, key.name), lease_s=0)
    return redirect("/review/queue", "Your last answer is undone; its image is in the queue again.")


@router.post("/sources", dependencies=MAY_CHANGE)
async def add_source(request: Request, viewer: ViewerDep) -> Response:
    """Put likely label errors, doubtful predictions, or images with several labels into the queue."""
    form = await form_of(request)
    return await run_in_threadpool(_add, viewer, source_of(form))


def source_of(form: Mapping[str, str]) -> ReviewSourceRequest:
    """Return the request of a form, where `below` is a percentage; raises Invalid."""
    values: dict[str, Any] = {name: value.strip() for name, value in form.items() if value.strip()}
    try:
        for name in ("limit", "votes", "keep_days"):
            if name in values:
                values[name] = int(values[name])
        if "below" in values:
            values["below"] = float(values["below"]) / 100
        return _SOURCE.validate_python(values)
    except ValidationError as error:
        place, reason = first_fault(error)
        raise Invalid(f"{place[-1] if place else 'source'}: {reason}") from error
    except ValueError as error:
        raise Invalid("limit, votes, keep_days and below must be numbers") from error


def _add(viewer: Viewer, source: ReviewSourceRequest) -> Response:
    result = viewer.stores.reviews.bring(ReviewSources(viewer.stores, viewer.backends.stores.objects).find(source))
    if result.added:
        notice = f"{plural(result.added, 'image is', 'images are')} new in the queue."
    elif result.matching:
        notice = "No image is new: those that the source lists are in the queue already, or were reviewed."
    else:
        notice = "There are no such images."
    return redirect("/review/queue", notice)
