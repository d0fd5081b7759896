"""/try: what a model says to one image, beside what its shadow says."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from contract.access import Scope
from contract.base import NAME_PATTERN
from contract.errors import Malformed, TidepoolError
from contract.inference import EncodedImage, Target
from contract.references import Reference
from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, Viewer, ViewerDep, ViewerNeeds
from services.gateway.dependencies import NamePath
from services.gateway.edge.forms import parts
from services.gateway.serving.predictor import ModelQuery, TimingMs, timing, top_classes
from services.storage.screens.models import ModelScreens

router = APIRouter(include_in_schema=False)

TOP = 10  # classes that an answer shows
VERSIONS = 20  # that can be chosen, the newest

Which = Annotated[str, Query(pattern=rf"^$|{NAME_PATTERN}")]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


@dataclass(frozen=True)
class Answer:
    """What one version says; `error` instead, if it cannot answer."""

    version: int
    variant: str
    role: str
    scores: tuple[tuple[str, float], ...] = ()
    timing: TimingMs | None = None
    unknown_below: float | None = None
    error: str = ""


@router.get("/try", dependencies=MAY_SEE)
def show(
    request: Request, viewer: ViewerDep, model: Which = "", alias: Which = "", version: Version = None
) -> Response:
    """The form: which model, and an image."""
    return _page(request, viewer, model, alias, version)


@router.post("/try/{model}", dependencies=[Depends(ViewerNeeds(Scope.PREDICT))])
async def classify(
    request: Request, viewer: ViewerDep, model: NamePath, alias: Which = "", version: Version = None
) -> Response:
    """The answers to the image in a form; a shadow is asked, too."""
    query = ModelQuery(viewer.caller.project, model, version, None if version else alias or None)
    chosen = await viewer.backends.predictor.choose(query)
    async with parts(request, 1) as form:
        upload = form.get("image")
        image = await upload.read() if isinstance(upload, UploadFile) else b""
    if not image:
        raise Malformed("choose an image")
    targets = [(chosen.target, "champion" if chosen.shadow else "")]
    targets += [(chosen.shadow, "shadow")] if chosen.shadow else []
    answers = await asyncio.gather(*(_ask(viewer, target, role, image) for target, role in targets))
    return await run_in_threadpool(_page, request, viewer, model, alias, version, answers=answers)


async def _ask(viewer: Viewer, target: Target, role: str, image: bytes) -> Answer:
    backends = viewer.backends
    try:
        answer = await backends.predictor.inference.ask(
            target, EncodedImage(image, TOP), backends.settings.predict_timeout_s
        )
        reference = Reference(name=target.model, version=target.version)
        _, manifest = await run_in_threadpool(viewer.stores.models.manifest, reference)
    except TidepoolError as error:
        return Answer(target.version, target.variant, role, error=error.message)
    return Answer(target.version, target.variant, role, top_classes(answer), timing([answer]), manifest.unknown_below)


def _page(
    request: Request, viewer: Viewer, model: str, alias: str, version: int | None, *, answers: Any = ()
) -> Response:
    screens = ModelScreens(viewer.stores.database, viewer.caller.project)
    names = screens.names()
    chosen = model or screens.newest()
    lines, aliases, _ = screens.versions(chosen, VERSIONS) if chosen else ((), (), None)
    if not alias and not version:
        pointed = [one.alias for one in aliases]
        alias = "production" if "production" in pointed else next(iter(pointed), "")
    return page(
        request,
        viewer,
        "try.html",
        screen="try",
        names=names,
        model=chosen,
        alias="" if version else alias,
        version=version,
        lines=[line for line in lines if not line.rejected],
        aliases=aliases,
        answers=answers,
        megabytes=viewer.backends.settings.max_predict_bytes >> 20,
    )
