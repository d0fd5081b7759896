"""Logs and metrics: JSON lines with request and job ids on stdout, Prometheus on an internal port."""

import logging
import sys

import structlog
from prometheus_client import disable_created_metrics

from messaging.scrape import serve_metrics
from messaging.settings import TelemetrySettings

VERBOSE = ("celery.worker.strategy", "celery.app.trace")  # two lines for every wake-up message and heartbeat

_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def start_telemetry(role: str, settings: TelemetrySettings) -> None:
    """Configure logging for `role`, including that of libraries, and serve metrics if a port is set."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _, __, event: {"role": role, **event},
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    if settings.log_level.upper() != "DEBUG":
        for name in VERBOSE:
            logging.getLogger(name).setLevel(logging.WARNING)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # a third of all series, which nothing uses
    if settings.metrics_port:
        serve_metrics(role, settings.metrics_port, settings.metrics_host)
