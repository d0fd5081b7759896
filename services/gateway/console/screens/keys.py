"""/keys: the API keys of the project; a new one is shown once."""

from collections.abc import Mapping
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from contract.access import SCOPES_OF, NewApiKey, Role, Scope
from contract.base import NAME_PATTERN
from contract.errors import Refused
from services.gateway.api.jobs import JobId
from services.gateway.console.pages import form_of, page, redirect
from services.gateway.console.viewer import MAY_MANAGE, ViewerDep

router = APIRouter(include_in_schema=False)

ROLES = {
    Role.VIEWER: "sees everything in the project",
    Role.LABELLER: "reviews images, and sees nothing else",
    Role.MEMBER: "also uploads, trains, promotes and deletes",
    Role.ADMIN: "also manages keys and sees the audit trail",
    Role.INSTANCE_ADMIN: "everything, in all projects",
}
LASTING = {"30": "30 days", "90": "90 days", "365": "a year", "": "until it is revoked"}


@router.get("/keys", dependencies=MAY_MANAGE)
def list_keys(request: Request, viewer: ViewerDep) -> Response:
    """The keys, without their secrets."""
    return _page(request, viewer)


@router.post("/keys", dependencies=MAY_MANAGE)
async def create_key(request: Request, viewer: ViewerDep) -> Response:
    """Create a key and show its secret."""
    values = await form_of(request)
    return await run_in_threadpool(_create, request, viewer, values)


@router.post("/keys/{key_id}/revoke", dependencies=MAY_MANAGE)
def revoke(viewer: ViewerDep, key_id: JobId) -> Response:
    """Revoke a key, and with it its sessions."""
    viewer.stores.keys.delete(key_id, viewer.caller)
    viewer.backends.access.forget()
    return redirect("/keys", "The key is revoked. It stops working within a second.")


def _create(request: Request, viewer: ViewerDep, values: Mapping[str, str]) -> Response:
    try:
        role = Role(values.get("role", ""))
        days = values.get("lasts", "")
        if lacking := viewer.caller.lacks(SCOPES_OF[role]):
            return _page(request, viewer, problem=f"your key lacks the scope {lacking[0]!s}, so it cannot give it away")
        expiry = viewer.stores.database.now() + timedelta(days=int(days)) if days in LASTING and days else None
        new = viewer.stores.keys.create(values.get("name", ""), role, expires_at=expiry)
    except (ValidationError, ValueError):
        return _page(request, viewer, problem="choose a role, and a name of lower-case letters, digits and hyphens")
    except Refused as error:
        return _page(request, viewer, problem=error.message)
    return _page(request, viewer, new=new)


def _page(request: Request, viewer: ViewerDep, problem: str = "", new: NewApiKey | None = None) -> Response:
    roles = {role: text for role, text in ROLES.items() if not viewer.caller.lacks(SCOPES_OF[role])}
    return page(
        request,
        viewer,
        "keys.html",
        screen="keys",
        status=422 if problem else 200,
        keys=viewer.stores.keys.list(),
        now=viewer.stores.database.now(),
        roles=roles,
        lasting=LASTING,
        problem=problem,
        base=str(request.base_url),
        new=new,
        scopes=tuple(map(str, Scope)),
        pattern=NAME_PATTERN[1:-1].replace("-]", "\\-]"),
    )
