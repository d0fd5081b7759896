"""The short way of predictions: plain requests are answered in front of the framework; see docs/adr/0012."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import structlog
from prometheus_client import Counter, Histogram
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from contract.errors import Forbidden
from contract.keys import Scope as KeyScope
from services.gateway.dependencies import Backends
from services.gateway.hot.client import ClientLeft, body_of, unless_left
from services.gateway.request_id import REQUESTS, SECONDS, begin

log = structlog.get_logger()

BEARER = b"Bearer "

Headers = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """The body of an answer, and its headers but for the request's id."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


Answer = Callable[[bytes], Awaitable[Found]]
"""What answers a request, given its body; raises errors of contract.errors."""


class Shortcut(Protocol):
    """One kind of request that is worth a short way."""

    route: str
    """Its path with placeholders, for the metrics."""

    def match(self, scope: Scope, headers: Headers) -> Answer | None:
        """What answers this request, or None for one that is another kind or in any way unusual."""

    def refuse(self, error: Exception) -> Response:
        """An error as the endpoint would answer it."""


class HotPath:
    """ASGI application: answers what a shortcut matches, and passes on everything else.

    Whatever is unusual about a request, a wrong query for example, is for the endpoint to refuse.
    """

    def __init__(self, app: ASGIApp, behind: Backends, shortcuts: tuple[Shortcut, ...]) -> None:
        self._app = app
        self._behind = behind
        self._shortcuts = shortcuts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            headers = dict(scope["headers"])
            if self._plain(headers):
                for shortcut in self._shortcuts:
                    if (answer := shortcut.match(scope, headers)) is not None:
                        await self._respond(shortcut, answer, headers, scope, receive, send)
                        return
        await self._app(scope, receive, send)

    def _plain(self, headers: Headers) -> bool:
        """Whether the request has a key, and a body that is announced and not too large."""
        length = headers.get(b"content-length", b"")
        return (
            headers.get(b"authorization", b"").startswith(BEARER)
            and length.isdigit()
            and int(length) <= self._behind.settings.max_predict_bytes
        )

    async def _respond(
        self, shortcut: Shortcut, answer: Answer, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        started, request_id = time.perf_counter(), begin(headers.get(b"x-request-id"))
        status = 200
        try:
            await self._allow(headers[b"authorization"][len(BEARER) :].decode("latin-1"))
            found = await unless_left(answer(await body_of(receive)), receive)
        except ClientLeft:
            status = 499  # as nginx counts them
        except Exception as error:  # noqa: BLE001  as LastResort does
            with structlog.contextvars.bound_contextvars(request_id=request_id):
                response = shortcut.refuse(error)
                status = response.status_code
                log.info("request", method="POST", path=scope["path"], status=status)
            response.headers["X-Request-ID"] = request_id
            await response(scope, receive, send)
        else:
            named = [*found.headers, (b"x-request-id", request_id.encode())]
            await send({"type": "http.response.start", "status": 200, "headers": named})
            await send({"type": "http.response.body", "body": found.body})
        _count(shortcut.route, status).inc()
        _seconds(shortcut.route).observe(time.perf_counter() - started)

    async def _allow(self, secret: str) -> None:
        key = self._behind.keys.peek(secret) or await self._behind.keys.get(secret)
        if not key.allows(KeyScope.PREDICT):
            raise Forbidden(f"this key lacks the scope {KeyScope.PREDICT!s}; use one that has it")


@cache
def _seconds(route: str) -> Histogram:
    return SECONDS.labels("POST", route)


@cache
def _count(route: str, status: int) -> Counter:
    return REQUESTS.labels("POST", route, status)
