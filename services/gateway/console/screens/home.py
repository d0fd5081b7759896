"""/: what runs now, what needs a person, what it cost and saved; on an empty project, the next steps."""

from fastapi import APIRouter, Request, Response

from services.gateway.console.pages import page
from services.gateway.console.viewer import MAY_SEE, ViewerDep

router = APIRouter(include_in_schema=False)


@router.get("/", dependencies=MAY_SEE)
def home(request: Request, viewer: ViewerDep) -> Response:
    """The first page."""
    return page(request, viewer, "home.html", screen="home")
