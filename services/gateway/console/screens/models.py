"""/models: the models of the project, and the versions of one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, ViewerDep
from services.gateway.dependencies import NamePath
from services.storage.screens.models import ModelScreens

router = APIRouter(include_in_schema=False)

PAGE = 50

Search = Annotated[str, Query(max_length=63)]


@router.get("/models", dependencies=MAY_SEE)
def list_models(
    request: Request, viewer: ViewerDep, name: Search = "", cursor: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """Models by name, each with what serves, the numbers of that version, and the newest version."""
    screens = ModelScreens(viewer.stores.database, viewer.caller.project)
    models = screens.page(name.strip(), PAGE, cursor)
    return page(
        request,
        viewer,
        "models.html",
        screen="models",
        lines=models.newest,
        leading=models.leading,
        served=models.served,
        next=models.next,
        name=name.strip(),
        cursor=cursor,
    )


@router.get("/models/{name}", dependencies=MAY_SEE)
def show_model(
    request: Request, viewer: ViewerDep, name: NamePath, cursor: Annotated[int | None, Query(ge=1)] = None
) -> Response:
    """The versions of a model, newest first, and its aliases."""
    screens = ModelScreens(viewer.stores.database, viewer.caller.project)
    lines, aliases, following = screens.versions(name, PAGE, cursor)
    return page(request, viewer, "model.html", screen="models", name=name, lines=lines, aliases=aliases, next=following)
