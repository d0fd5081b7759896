"""Logs and metrics: JSON lines with the ids of requests, jobs and traces on stdout, Prometheus on an internal port."""

import logging
import os
import socket
import sys

import structlog
from prometheus_client import disable_created_metrics
from structlog.typing import EventDict, WrappedLogger

from contract.tracing import current
from messaging.redaction import redacted
from messaging.scrape import serve_metrics
from messaging.settings import TelemetrySettings

VERBOSE = ("celery.worker.strategy", "celery.app.trace")  # two lines for every wake-up message and heartbeat


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Add the ids of the span that the line was written in, if that is recorded."""
    if (span := current()) is not None:
        event["trace_id"], event["span_id"] = span.context.trace_id, span.context.span_id
    return event


_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    _add_trace,
    structlog.processors.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def replica_name() -> str:
    """Return the name of this process, as leases have it: host and process id."""
    return f"{socket.gethostname()}:{os.getpid()}"


def start_telemetry(role: str, settings: TelemetrySettings) -> None:
    """Configure logging for `role`, including that of libraries, and serve metrics if a port is set."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_formatter(role))
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    logging.captureWarnings(True)
    if settings.log_level.upper() != "DEBUG":
        for name in VERBOSE:
            logging.getLogger(name).setLevel(logging.WARNING)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of all series, which nothing uses
    if settings.metrics_port:
        serve_metrics(role, settings.metrics_port, settings.metrics_host)


def _formatter(role: str) -> logging.Formatter:
    """Return the formatter of every line: one JSON object, without secrets."""
    process = {"role": role, "replica": replica_name()}
    render = structlog.processors.JSONRenderer(default=str)

    def line(logger: WrappedLogger, name: str, event: EventDict) -> str:
        event.pop("color_message", None)  # uvicorn's copy of the message for terminals
        return redacted(str(render(logger, name, {**process, **event})))

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_SHARED,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, line],
    )
