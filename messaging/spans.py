"""Spans by the OpenTelemetry SDK; `messaging.tracing` imports this module in processes that trace."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeGuard

import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from contract import __version__
from contract.tracing import NO_ATTRIBUTES, Attributes, TraceContext

QUEUE = 4096  # spans; more are dropped
EXPORT_S = 5.0  # for one export with its retries
STOP_S = 2.0
MOST_RELAYED = 5000  # spans of one attempt
NOISY = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "urllib3.connectionpool")

log = structlog.get_logger()


@dataclass(frozen=True)
class FinishedSpan:
    """A span as it goes from an attempt to its worker; times are Unix time in nanoseconds."""

    name: str
    context: TraceContext
    parent: TraceContext
    start: int
    end: int
    attributes: dict[str, str | int | float | bool] = field(default_factory=dict)
    error: str | None = None


class RecordedSpan:
    """A `contract.tracing.Span` of the SDK."""

    __slots__ = ("_span", "_tracer", "context")

    def __init__(self, tracer: Tracer, span: SdkSpan) -> None:
        self._tracer = tracer
        self._span = span
        self.context = _context_of(span.get_span_context())

    def child(self, name: str, attributes: Attributes = NO_ATTRIBUTES) -> "RecordedSpan":
        span = self._tracer.start_span(name, set_span_in_context(self._span), attributes=dict(attributes))
        return RecordedSpan(self._tracer, span)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(dict(attributes))

    def end(self, error: str = "") -> None:
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        if self._span.is_recording():
            self._span.end()


class Recorder:
    """Begins spans, and passes those that have ended to a processor."""

    def __init__(self, resource: Resource, processor: SpanProcessor) -> None:
        self._resource = resource
        self._processor = processor
        # neither from the environment: the decision has been made, and `stop` has a limit
        provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("tidepool", __version__)

    @classmethod
    def to_collector(cls, role: str, endpoint: str) -> "Recorder":
        """Send spans to a collector, from a thread; what does not fit into its queue is dropped."""
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # `Exporter` logs an outage, once
        exporter = Exporter(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S))
        return cls(_resource(role), BatchSpanProcessor(exporter, max_queue_size=QUEUE))

    @classmethod
    def to_process(cls, send: Callable[[FinishedSpan], None]) -> "Recorder":
        """Call `send` with each span that has ended."""
        return cls(Resource.get_empty(), Relay(send))

    def begin(
        self,
        name: str,
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        attributes: Attributes = NO_ATTRIBUTES,
        *,
        server: bool = False,
    ) -> RecordedSpan:
        """Begin a span within another process's span, or a trace of its own."""
        span = self._tracer.start_span(
            name,
            None if parent is None else set_span_in_context(_remote(parent)),
            kind=SpanKind.SERVER if server else SpanKind.INTERNAL,
            attributes=dict(attributes),
            links=[Link(_sdk_context(context)) for context in links],
        )
        return RecordedSpan(self._tracer, span)

    def within(self, parent: TraceContext) -> RecordedSpan:
        """Return another process's span, to begin children of it."""
        return RecordedSpan(self._tracer, _remote(parent))

    def add(self, span: FinishedSpan) -> None:
        """Pass on a span that another process has recorded."""
        self._processor.on_end(
            ReadableSpan(
                name=span.name,
                context=_sdk_context(span.context),
                parent=_sdk_context(span.parent),
                resource=self._resource,
                attributes=span.attributes,
                status=Status() if span.error is None else Status(StatusCode.ERROR, span.error),
                start_time=span.start,
                end_time=span.end,
            )
        )

    def stop(self) -> None:
        """Export what is left, for at most STOP_S."""
        stopping = threading.Thread(target=self._processor.shutdown, daemon=True)
        stopping.start()
        stopping.join(STOP_S)


class Exporter(SpanExporter):
    """Logs once when the collector stops taking spans, and once when it takes them again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        failing = result is not SpanExportResult.SUCCESS
        if failing and not self._failing:
            log.warning("the trace collector takes no spans; they are dropped until it does")
        elif self._failing and not failing:
            log.info("the trace collector takes spans again")
        self._failing = failing
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


class Relay(SpanProcessor):
    """Calls a function with each span that has ended, for at most MOST_RELAYED."""

    def __init__(self, send: Callable[[FinishedSpan], None]) -> None:
        self._send = send
        self._left = MOST_RELAYED

    def on_end(self, span: ReadableSpan) -> None:
        if self._left <= 0 or span.context is None or span.parent is None:
            return
        self._left -= 1
        failed = span.status.status_code is StatusCode.ERROR
        self._send(
            FinishedSpan(
                name=span.name,
                context=_context_of(span.context),
                parent=_context_of(span.parent),
                start=span.start_time or 0,
                end=span.end_time or 0,
                attributes={name: value for name, value in (span.attributes or {}).items() if _is_plain(value)},
                error=(span.status.description or "") if failed else None,
            )
        )


def _is_plain(value: object) -> TypeGuard[str | int | float | bool]:
    return isinstance(value, str | int | float | bool)


def _resource(role: str) -> Resource:
    return Resource.create(
        {
            "service.namespace": "tidepool",
            "service.name": role,
            "service.version": __version__,
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        }
    )


def _context_of(context: SpanContext) -> TraceContext:
    return TraceContext(format(context.trace_id, "032x"), format(context.span_id, "016x"), context.trace_flags.sampled)


def _sdk_context(context: TraceContext) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags)


def _remote(context: TraceContext) -> NonRecordingSpan:
    return NonRecordingSpan(_sdk_context(context))
