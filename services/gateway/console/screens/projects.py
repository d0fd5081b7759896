"""/projects: the projects of the instance, for its admin."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.errors import Refused
from contract.projects import NewProjectRequest
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.viewer import MAY_ADMIN, ViewerDep
from services.gateway.dependencies import NamePath

router = APIRouter(include_in_schema=False)

PAGE = 100


@router.get("/projects", dependencies=MAY_ADMIN)
def list_projects(request: Request, viewer: ViewerDep, cursor: Annotated[str, Query(max_length=63)] = "") -> Response:
    """Projects, by name."""
    return _page(request, viewer, cursor=cursor)


@router.post("/projects", dependencies=MAY_ADMIN)
async def create_project(request: Request, viewer: ViewerDep) -> Response:
    """Create a project."""
    values = await form_of(request)
    return await run_in_threadpool(_create, request, viewer, values)


@router.post("/projects/{name}/delete", dependencies=MAY_ADMIN)
def delete_project(viewer: ViewerDep, name: NamePath) -> Response:
    """Delete a project that owns nothing."""
    viewer.stores.projects.delete(name)
    viewer.backends.access.forget()
    return redirect("/projects", f"The project {name} was deleted.")


def _create(request: Request, viewer: ViewerDep, values: Mapping[str, str]) -> Response:
    try:
        new = NewProjectRequest(name=values.get("name", "").strip(), description=values.get("description", "").strip())
        viewer.stores.projects.create(new)
    except ValidationError:
        problem = "a name has 1 to 63 lower-case letters, digits and hyphens; a description at most 255 characters"
        return _page(request, viewer, problem=problem)
    except Refused as error:
        return _page(request, viewer, problem=error.message)
    return redirect("/projects", f"The project {new.name} was created. Choose it on the left to work in it.")


def _page(request: Request, viewer: ViewerDep, cursor: str = "", problem: str = "") -> Response:
    projects = viewer.stores.projects.list(PAGE, cursor or None)
    return page(
        request,
        viewer,
        "projects.html",
        screen="projects",
        status=422 if problem else 200,
        rows=projects.items,
        next=projects.next,
        problem=problem,
    )
