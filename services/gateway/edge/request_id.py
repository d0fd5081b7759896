"""The id of a request, from X-Request-ID or generated, for its answer and its log lines; and the HTTP metrics."""

import itertools
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from messaging.tallied import TalliedHistogram
from services.gateway.edge.traced_requests import TRACE_ID, answered, traced_request

log = structlog.get_logger()

REQUESTS = Counter("tidepool_http_requests_total", "Requests answered.", ["method", "route", "status"])
SECONDS = TalliedHistogram(
    "tidepool_http_request_seconds",
    "Time from the first byte to the last.",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}  # the parser knows forty others

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")

_CURRENT: ContextVar[str] = ContextVar("request_id", default="")
_FIRST_HALF = secrets.token_hex(8)  # of the ids that this process generates
_count = itertools.count(secrets.randbits(32))


def current_request_id() -> str:
    """Return the id of the current request, "" outside of one."""
    return _CURRENT.get()


def request_id_of(header: bytes | None) -> str:
    """Return the client's id if it is acceptable, else a new one."""
    text = header.decode("latin-1") if header else ""
    return text if _ACCEPTABLE.fullmatch(text) else f"{_FIRST_HALF}{next(_count):016x}"


@contextmanager
def named(request_id: str) -> Iterator[None]:
    """Make this the id of the current request, in answers and in logs."""
    token = _CURRENT.set(request_id)
    try:
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            yield
    finally:
        _CURRENT.reset(token)


def record(method: str, route: str, status: int, seconds: float) -> None:
    """Count a request and its time; `route` has placeholders, so that there are few label values."""
    method = method if method in METHODS else "OTHER"
    _counter(method, route, status).inc()
    _histogram(method, route).observe(seconds)


@cache
def _counter(method: str, route: str, status: int) -> Counter:
    return REQUESTS.labels(method, route, status)


@cache
def _histogram(method: str, route: str) -> Histogram:
    return SECONDS.labels(method, route)


class RequestId:
    """ASGI middleware that binds the request's id, records the metrics, and logs one line per request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_id = request_id_of(headers.get(b"x-request-id"))
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
                if span is not None:
                    message["headers"].append((TRACE_ID, span.context.trace_id.encode()))
            await send(message)

        with named(request_id), traced_request(scope["method"], headers.get(b"traceparent")) as span:
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "unknown")
                record(scope["method"], route, status, seconds)
                log.info(
                    "request", method=scope["method"], path=scope["path"], status=status, ms=round(seconds * 1e3, 1)
                )
                if span is not None:
                    answered(span, scope["method"], route, status)
