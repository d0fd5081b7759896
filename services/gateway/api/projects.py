"""/v1/projects: each has its own data, models, jobs and keys."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from contract.access import Scope
from contract.errors import NotFound
from contract.jobs import Job
from contract.projects import NewProjectRequest, Project, ProjectChange, ProjectPage
from services.gateway.dependencies import (
    MAY_ADMIN,
    MAY_READ,
    BackendsDep,
    CallerDep,
    Cursor,
    Limit,
    NamePath,
    StoresDep,
)
from services.gateway.edge.problems import documented
from services.gateway.edge.request_id import current_request_id

router = APIRouter(prefix="/v1/projects", tags=["projects"])


@router.get("", dependencies=MAY_READ, responses=documented())
def list_projects(stores: StoresDep, caller: CallerDep, limit: Limit = 50, cursor: Cursor = None) -> ProjectPage:
    """Projects, by name; other keys than those of an instance's admin see their own."""
    if caller.allows(Scope.ADMIN):
        return stores.projects.list(limit, cursor)
    return ProjectPage(items=() if cursor else (stores.projects.get(caller.project),), next=None)


@router.post("", status_code=201, dependencies=MAY_ADMIN, responses=documented(409, 413, 415))
def create_project(request: NewProjectRequest, stores: StoresDep) -> Project:
    """Create a project. Make its first key with the header Tidepool-Project."""
    return stores.projects.create(request)


@router.get("/{name}", dependencies=MAY_READ, responses=documented(404))
def get_project(name: NamePath, stores: StoresDep, caller: CallerDep) -> Project:
    """A project, with its weight and quotas."""
    if name != caller.project and not caller.allows(Scope.ADMIN):
        raise NotFound(f"there is no project {name!r}")
    return stores.projects.get(name)


@router.patch("/{name}", dependencies=MAY_ADMIN, responses=documented(404, 413, 415))
def change_project(name: NamePath, change: ProjectChange, backends: BackendsDep, stores: StoresDep) -> Project:
    """Change the description, weight, quotas or retention of a project; what is left out stays."""
    changed = stores.projects.change(name, change)
    backends.access.forget()
    return changed


PURGING: dict[int | str, dict[str, Any]] = {
    202: {"model": Job, "description": "With `purge`: the job that deletes the project."}
}


@router.delete("/{name}", status_code=204, dependencies=MAY_ADMIN, responses=documented(404, 409) | PURGING)
def delete_project(
    name: NamePath,
    backends: BackendsDep,
    stores: StoresDep,
    purge: Annotated[bool, Query(description="Delete it with everything that it has, by a job of `default`.")] = False,
) -> Response:
    """Delete a project that owns nothing, not even keys and ended jobs; or, with `purge`, any but `default`."""
    if not purge:
        stores.projects.delete(name)
        backends.access.forget()
        return Response(status_code=204)
    job = stores.projects.purge(name, current_request_id())
    backends.access.forget()
    backends.forget_models()
    return JSONResponse(job.model_dump(mode="json"), status_code=202, headers={"Location": f"/v1/jobs/{job.id}"})
