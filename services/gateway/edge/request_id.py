"""Every request gets an id: taken from X-Request-ID or made here, in the answer, the logs and the metrics' log line."""

import itertools
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

REQUESTS = Counter("tidepool_http_requests_total", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram("tidepool_http_request_seconds", "Time from the first byte to the last.", ["method", "route"])

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")


_CURRENT: ContextVar[str] = ContextVar("request_id", default="")
_FIRST_HALF = secrets.token_hex(8)  # of the ids made by this process
_count = itertools.count(secrets.randbits(32))


def current_request_id() -> str:
    """The id of the request that is being answered."""
    return _CURRENT.get()


def request_id_of(given: bytes | None) -> str:
    """The client's id, or a new one where there is none that could be used."""
    text = given.decode("latin-1") if given else ""
    return text if _ACCEPTABLE.fullmatch(text) else f"{_FIRST_HALF}{next(_count):016x}"


@contextmanager
def named(request_id: str) -> Iterator[None]:
    """Make an id the one of the request that is being answered, in answers and in logs."""
    token = _CURRENT.set(request_id)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        _CURRENT.reset(token)


class RequestId:
    """ASGI middleware: binds the id, counts, and logs one line a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        with named(request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "unknown")  # never the raw path: labels must stay few
                REQUESTS.labels(scope["method"], route, status).inc()
                SECONDS.labels(scope["method"], route).observe(seconds)
                log.info(
                    "request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1e3, 1)
                )
