"""Checks the key of a request with a body before the body is read."""

import re
import time

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.errors import TidepoolError
from services.gateway.edge.access import Access
from services.gateway.edge.problems import problem_of
from services.gateway.edge.request_id import named, record, request_id_of
from services.gateway.edge.sessions import session_of

log = structlog.get_logger()

NEEDS_KEY = re.compile(r"/v1/.*|/v2(?!/health/)(/.*)?")


class KeyFirst:
    """ASGI middleware that answers 401 without reading the body, and closes the connection.

    Endpoints check the key again, and its scope.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not NEEDS_KEY.fullmatch(scope["path"]) or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        since = time.perf_counter()
        try:
            headers = Headers(scope=scope)
            await self._access.authenticate(
                headers.get("authorization"),
                address=address_of(scope),
                session=session_of(headers, scope["method"]),
                origin=headers.get("origin"),
            )
        except TidepoolError as error:
            await refuse(error, scope, receive, send)
            record(scope["method"], "unknown", error.status, time.perf_counter() - since)
        else:
            await self._app(scope, receive, send)


def address_of(scope: Scope) -> str:
    """Return the address of a request's client, "" if it is not known."""
    address: str = (scope.get("client") or [""])[0]
    return address


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


async def refuse(error: TidepoolError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request with an error; if it has a body, that is not read, and the connection is closed."""
    request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
    with named(request_id):
        response = problem_of(error)
        log.info("request", method=scope["method"], path=scope["path"], status=error.status)
    response.headers["X-Request-ID"] = request_id
    if _has_body(scope):
        response.headers["Connection"] = "close"
    await response(scope, receive, send)
