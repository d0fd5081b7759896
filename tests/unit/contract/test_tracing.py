"""Trace contexts, and spans in a process without tracing."""

import pytest

from contract.tracing import TraceContext, current, current_traceparent, span, traced, unrecorded

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-09-what-the-future-will-be-like", True),
    ],
)
def test_a_traceparent_is_parsed(header: str, sampled: bool) -> None:
    context = TraceContext.parse(header)

    assert context == (TRACE, SPAN, sampled)
    assert context.header == f"00-{TRACE}-{SPAN}-0{int(sampled)}"


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0é",
        f"cc-{TRACE}-{SPAN}-01.more",
        "x" * 10_000,
    ],
)
def test_an_invalid_traceparent_is_ignored(header: str | None) -> None:
    assert TraceContext.parse(header) is None


def test_nothing_is_recorded_without_a_current_span() -> None:
    @traced("work")
    def work(number: int) -> int:
        return number + 1

    with span("a block", {"number": 1}) as recorded:
        assert (recorded, current(), current_traceparent()) == (None, None, None)
        assert work(1) == 2


def test_a_request_that_is_not_recorded_passes_on_its_clients_trace() -> None:
    with unrecorded(TraceContext(TRACE, SPAN, sampled=True)):
        assert current_traceparent() == f"00-{TRACE}-{SPAN}-00"
        assert current() is None

    assert current_traceparent() is None
