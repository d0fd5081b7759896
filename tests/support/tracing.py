"""Traces in tests: what this process records, and a collector that other processes send their spans to."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from messaging import tracing
from messaging.spans import Recorder
from messaging.tracing import Sampler, Tracing
from tests.support.http_server import Handler, answering

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
"""What a client sends that records its own part of a trace."""


@contextmanager
def recording(share: float = 1.0, per_s: float = 1000.0) -> Iterator[Callable[[], list[ReadableSpan]]]:
    """Turn tracing on in this process during the block; yields the function that returns the spans that have ended."""
    exporter = InMemorySpanExporter()
    recorder = Recorder(Resource.get_empty(), SimpleSpanProcessor(exporter))
    tracing._tracing = Tracing(recorder, Sampler(share, per_s))
    try:
        yield lambda: list(exporter.get_finished_spans())
    finally:
        tracing.stop_tracing()


@dataclass(frozen=True)
class Received:
    """A span that a collector has received; ids are hexadecimal, and `links` are the ids of spans."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: Mapping[str, str | int | float | bool]
    failed: bool


class Collector:
    """An OpenTelemetry collector, by OTLP over HTTP, that keeps what it receives."""

    def __init__(self) -> None:
        self.url = ""
        self._spans: list[Received] = []
        self._changed = threading.Condition()

    def receive(self, body: bytes) -> None:
        with self._changed:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = _values(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    self._spans += [
                        Received(
                            str(service),
                            span.name,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            tuple(link.span_id.hex() for link in span.links),
                            _values(span.attributes),
                            span.status.code == Status.STATUS_CODE_ERROR,
                        )
                        for span in scope.spans
                    ]
            self._changed.notify_all()

    def until(self, condition: Callable[[list[Received]], object], timeout_s: float = 30.0) -> list[Received]:
        """Wait until the spans received so far meet a condition, and return them."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not condition(self._spans):
                assert self._changed.wait(max(0.0, deadline - time.monotonic())), self._spans
            return list(self._spans)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector during the block."""
    collector = Collector()

    class Receiver(Handler):
        def do_POST(self) -> None:
            collector.receive(self.rfile.read(int(self.headers["Content-Length"])))
            self.answer(HTTPStatus.OK)

    with answering(Receiver) as port:
        collector.url = f"http://127.0.0.1:{port}"
        yield collector


def _values(attributes: "list[KeyValue]") -> dict[str, str | int | float | bool]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in attributes}
