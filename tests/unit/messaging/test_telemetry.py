"""The log lines that a service writes to stdout, and the metrics it serves."""

import io
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import structlog
from structlog.contextvars import bound_contextvars

from contract.tracing import TraceContext, active
from messaging.settings import TelemetrySettings
from messaging.telemetry import start_telemetry
from messaging.tracing import tracing
from tests.support.servers import free_port
from tests.support.tracing import TRACE, TRACEPARENT, recording

SECRET = "S3cr3t-S3cr3t"
KEY = f"tp_0123abcd_{SECRET}"
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[Lines]:
    """Start the telemetry of a trainer; returns the lines written since."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    with redirect_stdout(io.StringIO()) as output:
        start_telemetry("trainer", TelemetrySettings(metrics_port=0, log_level="info"))
    yield lambda: [json.loads(line) for line in output.getvalue().splitlines()]
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.getLogger().handlers[:], logging.getLogger().level = before


def test_a_line_has_its_role_time_and_request_ids(written: Lines) -> None:
    with bound_contextvars(request_id="r-1", job_id="j-1"):
        structlog.get_logger().warning("attempt failed", code="bad_archive")

    (line,) = written()
    assert (line["role"], line["level"], line["event"], line["code"]) == (
        "trainer",
        "warning",
        "attempt failed",
        "bad_archive",
    )
    assert (line["request_id"], line["job_id"]) == ("r-1", "j-1")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC


def test_lines_of_libraries_have_the_same_format(written: Lines) -> None:
    with bound_contextvars(request_id="r-1"):
        logging.getLogger("celery.worker").warning("%s is slow", "redis", extra={"queue": "trainer"})

    (line,) = written()
    assert (line["role"], line["level"], line["event"]) == ("trainer", "warning", "redis is slow")
    assert (line["request_id"], line["queue"]) == ("r-1", "trainer")
    assert datetime.fromisoformat(line["timestamp"]).tzinfo == UTC


@pytest.mark.parametrize(
    "log", [lambda: structlog.get_logger().exception("failed"), lambda: logging.exception("failed")]
)
def test_an_exception_is_on_the_same_line(written: Lines, log: Callable[[], None]) -> None:
    try:
        raise ValueError("of two\nlines")
    except ValueError:
        log()

    (line,) = written()
    assert line["level"] == "error"
    assert line["exception"].endswith("ValueError: of two\nlines")


def test_a_value_that_is_not_json_is_written_as_text(written: Lines) -> None:
    structlog.get_logger().info("saved", kinds={"cat"})

    (line,) = written()
    assert line["kinds"] == "{'cat'}"


def test_a_line_has_the_ids_of_its_trace(written: Lines) -> None:
    with recording():
        span = tracing().request("POST", TraceContext.parse(TRACEPARENT))  # type: ignore[union-attr]
        assert span is not None
        with active(span):
            structlog.get_logger().info("request")
            logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("uvicorn.error").info("stopped")

    ids = {"trace_id": TRACE, "span_id": span.context.span_id}
    assert [{name: line[name] for name in ids if name in line} for line in written()] == [ids, ids, {}]


def test_a_line_names_its_process(written: Lines) -> None:
    structlog.get_logger().info("one")
    with bound_contextvars(replica="of-the-worker:7"):  # an attempt has that of its worker
        structlog.get_logger().info("two")

    assert [line["replica"] for line in written()] == [f"{socket.gethostname()}:{os.getpid()}", "of-the-worker:7"]


@pytest.mark.parametrize("logger", ["uvicorn.error", "uvicorn.access", "celery.worker", "urllib3", "py.warnings"])
def test_no_line_of_any_library_has_a_secret(written: Lines, logger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(logger), "propagate", True)  # gateways of other tests turn access logs off
    try:
        raise ValueError(f"GET /b/k?X-Amz-Signature={SECRET} failed; sent Authorization: Bearer {KEY}")
    except ValueError:
        values = f"redis://user:{SECRET}@redis", {"cookie": f"tidepool={SECRET}"}
        logging.getLogger(logger).exception("%s as %s", *values)
        structlog.get_logger(logger).exception("failed", headers={"authorization": SECRET}, password=SECRET)

    lines = written()
    assert len(lines) == 2
    assert SECRET not in json.dumps(lines)
    assert all("ValueError: GET /b/k?X-Amz-Signature=[redacted] failed" in line["exception"] for line in lines)


def test_lines_below_the_level_are_not_written(written: Lines) -> None:
    structlog.get_logger().debug("wake-up message")
    logging.getLogger("celery.worker").debug("wake-up message")

    assert written() == []


@pytest.mark.usefixtures("written")
def test_metrics_are_served_on_their_own_port() -> None:
    port = free_port()

    start_telemetry("trainer", TelemetrySettings(metrics_port=port))

    assert "python_info" in httpx.get(f"http://127.0.0.1:{port}/metrics").text


def test_celery_logs_errors_but_not_every_message(written: Lines) -> None:
    logging.getLogger("celery.app.trace").info("Task tidepool.answer_batches[1] succeeded in 0.2s")
    logging.getLogger("celery.app.trace").error("Task tidepool.answer_batches[2] raised")

    (line,) = written()
    assert line["event"] == "Task tidepool.answer_batches[2] raised"
