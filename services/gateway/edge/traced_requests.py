"""The span of a request to the gateway: by REST, in the fast path, and by gRPC."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from contract.tracing import Span, TraceContext, active, unrecorded
from messaging.tracing import tracing

TRACE_ID = b"x-trace-id"
"""The header of the answer to a request that is traced."""


def begin(name: str, traceparent: bytes | str | None) -> Span | None:
    """Begin the span of a request that has sent this header; None if it is not traced."""
    traces = tracing()
    return None if traces is None else traces.request(name, _context(traceparent))


def answered(span: Span, method: str, route: str, status: int) -> None:
    """End the span of a request over HTTP; `route` has placeholders, as a path may have names of users' data."""
    span.rename(f"{method} {route}")
    span.set({"http.request.method": method, "http.route": route, "http.response.status_code": status})
    span.end(str(status) if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "")


@contextmanager
def traced_request(name: str, traceparent: bytes | str | None) -> Iterator[Span | None]:
    """Make the span of a request the current one, if it is traced; the caller ends it.

    If it is not, jobs that it creates still know the client's trace.
    """
    span = begin(name, traceparent)
    if span is None and tracing() is not None and (context := _context(traceparent)) is not None:
        with unrecorded(context):
            yield None
    else:
        with active(span):
            yield span


def _context(traceparent: bytes | str | None) -> TraceContext | None:
    return TraceContext.parse(traceparent.decode("latin-1") if isinstance(traceparent, bytes) else traceparent)
