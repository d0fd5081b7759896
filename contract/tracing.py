"""Traces as every package sees them: the current span, its children, and W3C trace contexts; see docs/tracing.md.

Nothing is recorded here. In a process with tracing, `messaging.tracing` begins the spans; without, there is no current
span, and everything here costs one look at a context variable.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import wraps
from types import MappingProxyType
from typing import NamedTuple, ParamSpec, Protocol, Self, TypeVar

from contract.errors import TidepoolError

Attributes = Mapping[str, str | int | float | bool]
NO_ATTRIBUTES: Attributes = MappingProxyType({})

P = ParamSpec("P")
R = TypeVar("R")

_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 1


class TraceContext(NamedTuple):
    """What identifies a span in other processes; `sampled` if it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    @classmethod
    def parse(cls, header: str | None) -> Self | None:
        """Parse a `traceparent`, of this or a later version of W3C Trace Context; None if it is missing or invalid."""
        match = _HEADER.fullmatch(header) if header else None
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "ff" or (version == "00" and more) or not (int(trace_id, 16) and int(span_id, 16)):
            return None
        return cls(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))

    @property
    def header(self) -> str:
        """The context as a `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


class Span(Protocol):
    """An operation that is being recorded."""

    context: TraceContext

    def child(self, name: str, attributes: Attributes = NO_ATTRIBUTES) -> "Span":
        """Begin a part of this operation."""

    def rename(self, name: str) -> None:
        """Change the name, when it is known better than at the beginning."""

    def set(self, attributes: Attributes) -> None:
        """Add attributes: ids, counts and names that metrics have too, never data of users."""

    def end(self, error: str = "") -> None:
        """End the operation, with the code of an error if it failed; later calls do nothing."""


_CURRENT: ContextVar[Span | None] = ContextVar("span", default=None)
_UNRECORDED: ContextVar[TraceContext | None] = ContextVar("unrecorded", default=None)
_NOTHING = nullcontext()


def current() -> Span | None:
    """Return the span of the operation that this code belongs to, None if it is not recorded."""
    return _CURRENT.get()


def current_traceparent() -> str | None:
    """Return the `traceparent` to keep with what is created now: of the current span, or the client's own."""
    span = _CURRENT.get()
    context = _UNRECORDED.get() if span is None else span.context
    return None if context is None else context.header


def span(name: str, attributes: Attributes = NO_ATTRIBUTES) -> AbstractContextManager[Span | None]:
    """Record a block as a child of the current span; without one, do nothing."""
    parent = _CURRENT.get()
    return _NOTHING if parent is None else ended(parent.child(name, attributes))


def traced(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Record each call of a function as a child of the span that is current then."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with span(name):
                return function(*args, **kwargs)

        return call

    return decorate


@contextmanager
def active(span: Span | None) -> Iterator[None]:
    """Make a span, or none, the current one."""
    token = _CURRENT.set(span)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def ended(span: Span) -> Iterator[Span]:
    """Make a span the current one, and end it with the block."""
    with active(span):
        try:
            yield span
        except BaseException as error:
            span.end(error.code if isinstance(error, TidepoolError) else type(error).__name__)
            raise
        else:
            span.end()


@contextmanager
def unrecorded(context: TraceContext) -> Iterator[None]:
    """Keep the trace context of a client for `current_traceparent`, although the request is not recorded."""
    token = _UNRECORDED.set(context._replace(sampled=False))
    try:
        yield
    finally:
        _UNRECORDED.reset(token)
