"""Signing in with an API key or a one-time link, signing out, and switching projects."""

import re

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from contract.errors import Forbidden, TidepoolError, Unauthenticated
from services.gateway.console.formats import sentence
from services.gateway.console.pages import form_of, plain_page, redirect
from services.gateway.console.viewer import ViewerDep
from services.gateway.dependencies import BackendsDep, CallerDep
from services.gateway.edge.key_first import address_of
from services.gateway.edge.sessions import cookie_name, is_private, is_secure, require_own_page
from services.storage.access.sessions import SESSION_LASTS

router = APIRouter(include_in_schema=False)

_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")  # printable ASCII but for the backslash, and not `//host`
PRIVATE_ONLY = (
    "Signing in needs HTTPS, because others on the network could read your session otherwise. Open the console by "
    "https://, or from the machine itself at http://localhost, for example through an SSH tunnel."
)


def own_path(text: str) -> str:
    """Return a path of this gateway as it is, and "/" for anything else, such as another site's address."""
    return text if _OWN_PATH.fullmatch(text) and not text.startswith("/sign-") else "/"


@router.get("/sign-in")
async def sign_in_page(request: Request, backends: BackendsDep, next: str = "/", token: str = "") -> Response:
    """The form for a key. With the token of a link: sign in, if the person opened it, else ask for a click."""
    if token and request.headers.get("sec-fetch-site") == "none" and is_private(request.headers, request.url.scheme):
        return await _redeem(request, backends, token, own_path(next))
    return plain_page("sign_in.html", next=own_path(next), token=token[:128], error=_transport_error(request))


@router.post("/sign-in")
async def sign_in(request: Request, backends: BackendsDep) -> Response:
    """Exchange a key, or the token of a link, for a session."""
    require_own_page(request.headers, request.method)
    form = await form_of(request)
    following = own_path(form.get("next", "/"))
    if error := _transport_error(request):
        return plain_page("sign_in.html", Forbidden.status, next=following, token="", error=error)
    if token := form.get("token", ""):
        return await _redeem(request, backends, token, following)
    try:
        secret = form.get("key", "").strip()
        caller = await backends.access.authenticate(f"Bearer {secret}", address=address_of(request.scope))
    except TidepoolError as problem:
        message = sentence(problem.message) if secret else "Paste an API key."
        return plain_page("sign_in.html", problem.status, next=following, token="", error=message)
    session = await run_in_threadpool(backends.stores.sessions.create, caller.key_id)
    return _signed_in(request, session, following)


@router.post("/sign-out")
async def sign_out(request: Request, backends: BackendsDep, viewer: ViewerDep) -> Response:
    """End the session."""
    await run_in_threadpool(backends.stores.sessions.end, viewer.token)
    backends.access.forget()
    response = redirect("/sign-in")
    for secure in (True, False):
        name = cookie_name(request.headers, secure=secure)
        response.delete_cookie(name, secure=secure, httponly=True, samesite="strict")
    return response


@router.post("/project")
async def choose_project(request: Request, backends: BackendsDep, viewer: ViewerDep) -> Response:
    """Work in another project, for an instance's admin."""
    if not viewer.is_instance_admin:
        raise Forbidden("only a key with the role instance-admin works in several projects")
    name = (await form_of(request)).get("project", "")
    await run_in_threadpool(backends.stores.sessions.choose, viewer.token, name)
    backends.access.forget()
    return redirect("/")


@router.post("/console/links")
async def create_link(backends: BackendsDep, caller: CallerDep) -> dict[str, str]:
    """A path with which a browser signs in once as this key, within 15 minutes; for `tidepool up`."""
    token = await run_in_threadpool(backends.stores.sessions.create_link, caller.key_id)
    return {"path": f"/sign-in?token={token}"}


async def _redeem(request: Request, backends: BackendsDep, token: str, following: str) -> Response:
    try:
        session = await run_in_threadpool(backends.stores.sessions.redeem, token)
    except Unauthenticated as error:
        return plain_page("sign_in.html", error.status, next=following, token="", error=sentence(error.message))
    return _signed_in(request, session, following)


def _signed_in(request: Request, session: str, following: str) -> Response:
    secure = is_secure(request.headers, request.url.scheme)
    response = redirect(following)
    response.set_cookie(
        cookie_name(request.headers, secure=secure),
        session,
        max_age=int(SESSION_LASTS.total_seconds()),
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return response


def _transport_error(request: Request) -> str:
    return "" if is_private(request.headers, request.url.scheme) else PRIVATE_ONLY
