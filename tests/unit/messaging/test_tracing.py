"""Which requests are traced, how spans leave the process, and that all of this costs nothing when it is off."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from contract.errors import NotFound
from contract.tracing import TraceContext, active, current, span, traced
from messaging import spans, tracing
from messaging.settings import TracingSettings
from messaging.spans import FinishedSpan
from messaging.tracing import Sampler, relayed, start_tracing, stop_tracing
from tests.support.servers import free_port
from tests.support.tracing import SPAN, TRACE, TRACEPARENT, Collector, collecting, recording

CLIENT = TraceContext(TRACE, SPAN, sampled=True)
OF_WORKERS = ("messaging.responder", "services.storage.stores", "worker.replica", "worker.worker")


class Clock:
    """Seconds, set by a test."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(autouse=True)
def _off_afterwards() -> Iterator[None]:
    yield
    stop_tracing()
    for name in spans.NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_share_of_the_requests_is_recorded(clock: Clock) -> None:
    sampler = Sampler(0.25, 1e6, clock)

    assert 800 < sum(sampler.records(None) for _ in range(4000)) < 1200


def test_no_more_than_so_many_requests_a_second_are_recorded(clock: Clock) -> None:
    sampler = Sampler(1.0, 10.0, clock)

    assert sum(sampler.records(None) for _ in range(100)) == 10
    clock.now += 0.5
    assert sum(sampler.records(None) for _ in range(100)) == 5


def test_clients_can_ask_for_so_many_a_second_and_leave_others_theirs(clock: Clock) -> None:
    sampler = Sampler(1.0, 10.0, clock)

    assert sum(sampler.records(CLIENT) for _ in range(1000)) == 10
    assert sampler.records(None)


def test_a_request_whose_client_records_nothing_is_not_recorded(clock: Clock) -> None:
    assert not Sampler(1.0, 10.0, clock).records(CLIENT._replace(sampled=False))


def test_less_than_one_request_a_second_is_possible(clock: Clock) -> None:
    sampler = Sampler(1.0, 0.1, clock)

    assert [sampler.records(None), sampler.records(None)] == [True, False]
    clock.now += 10
    assert sampler.records(None)


def test_a_request_continues_the_trace_of_its_client_with_its_parts() -> None:
    @traced("part")
    def part() -> None:
        with pytest.raises(NotFound), span("missing", {"count": 2}):
            raise NotFound("there is none")

    with recording() as recorded:
        request = tracing.tracing().request("POST", TraceContext.parse(TRACEPARENT))  # type: ignore[union-attr]
        assert request is not None
        with active(request):
            part()
        request.end("503")
        request.end()

    missing, whole, root = recorded()
    assert [each.name for each in (missing, whole, root)] == ["missing", "part", "POST"]
    assert {format(each.context.trace_id, "032x") for each in recorded()} == {TRACE}
    assert format(root.parent.span_id, "016x") == SPAN
    assert (whole.parent, missing.parent) == (root.context, whole.context)
    assert (missing.status.description, dict(missing.attributes)) == ("not_found", {"count": 2})
    assert (whole.status.is_unset, root.status.description) == (True, "503")
    assert current() is None


def test_an_attempt_is_a_trace_of_its_own_linked_to_its_cause() -> None:
    with recording(share=0.0) as recorded:
        traces = tracing.tracing()
        assert traces is not None
        assert traces.attempt("train", None, {}) is None
        assert traces.attempt("train", CLIENT._replace(sampled=False), {}) is None
        attempt = traces.attempt("train", CLIENT, {"tidepool.job.attempt": 1})
        assert attempt is not None
        attempt.end()

    (root,) = recorded()
    assert root.parent is None
    assert format(root.context.trace_id, "032x") != TRACE
    assert [format(link.context.span_id, "016x") for link in root.links] == [SPAN]


def test_spans_of_an_attempt_go_to_its_worker() -> None:
    sent: list[FinishedSpan] = []
    with relayed(CLIENT, sent.append), pytest.raises(ZeroDivisionError), span("handler"):
        raise ZeroDivisionError

    (finished,) = sent
    assert (finished.name, finished.parent, finished.error) == ("handler", CLIENT, "ZeroDivisionError")
    with recording() as recorded:
        tracing.tracing().add(finished)  # type: ignore[union-attr]
    (passed_on,) = recorded()
    assert (passed_on.start_time, passed_on.end_time) == (finished.start, finished.end)
    assert passed_on.status.description == "ZeroDivisionError"


def test_an_attempt_that_is_not_traced_sends_nothing() -> None:
    sent: list[FinishedSpan] = []
    with relayed(None, sent.append), span("handler"):
        pass

    assert sent == []


def test_an_attempt_sends_a_bounded_number_of_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST_RELAYED", 3)
    sent: list[FinishedSpan] = []
    with relayed(CLIENT, sent.append):
        for _ in range(5):
            with span("SQL write"):
                pass

    assert len(sent) == 3


def test_spans_reach_the_collector_when_the_process_ends(collector: Collector) -> None:
    start_tracing("gateway", TracingSettings(otlp_endpoint=collector.url, trace_sample=1.0))
    request = tracing.tracing().request("POST", CLIENT)  # type: ignore[union-attr]
    assert request is not None
    request.set({"http.route": "/v1/jobs"})
    request.end()
    stop_tracing()

    (received,) = collector.until(len)
    assert (received.service, received.trace_id, received.parent_id) == ("gateway", TRACE, SPAN)
    assert received.attributes == {"http.route": "/v1/jobs"}


def test_a_collector_that_is_away_costs_nothing_and_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "EXPORT_S", 0.2)
    monkeypatch.setattr(spans, "QUEUE", 1024)
    with capture_logs() as lines:
        endpoint = f"http://127.0.0.1:{free_port()}"
        start_tracing("gateway", TracingSettings(otlp_endpoint=endpoint, trace_sample=1.0, trace_rate=1e6))
        started = time.process_time()
        for _ in range(3000):
            tracing.tracing().request("POST", None).end()  # type: ignore[union-attr]
        assert time.process_time() - started < 3
        stopped = time.monotonic()
        stop_tracing()
        assert time.monotonic() - stopped < spans.STOP_S + 1

    assert [line["event"] for line in lines] == ["the trace collector takes no spans; they are dropped until it does"]


@pytest.mark.parametrize("modules", [OF_WORKERS, (*OF_WORKERS, "services.gateway.main")], ids=["worker", "gateway"])
def test_without_an_endpoint_nothing_that_traces_is_imported(modules: tuple[str, ...]) -> None:
    # redis-py imports the SDK's metrics if they are installed, and FastAPI the API; neither uses them
    unwanted = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "opentelemetry.proto", "messaging.spans")
    program = f"""
import importlib, sys
for module in {modules}: importlib.import_module(module)
from messaging import tracing
from messaging.settings import TracingSettings
tracing.start_tracing("gateway", TracingSettings(otlp_endpoint=""))
print(tracing.tracing(), [name for name in sys.modules if name.startswith({unwanted})])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "None []\n", done.stderr
