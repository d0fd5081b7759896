"""What a soak counts, and which answers it does not accept."""

import pytest

from tests.soak.tally import Tally, class_of, is_forbidden


@pytest.mark.parametrize(
    ("status", "expected"),
    [("200", "2xx"), ("404", "4xx"), ("429", "429"), ("503", "503"), ("500", "500"), ("UNAVAILABLE", "UNAVAILABLE")],
)
def test_statuses_are_grouped(status: str, expected: str) -> None:
    assert class_of(status) == expected


@pytest.mark.parametrize("status", ["500", "501", "502", "INTERNAL", "UNKNOWN"])
def test_errors_of_the_server_are_forbidden(status: str) -> None:
    assert is_forbidden(status)


@pytest.mark.parametrize("status", ["200", "404", "429", "503", "504", "OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"])
def test_refusals_overload_and_deadlines_are_not(status: str) -> None:
    assert not is_forbidden(status)


def test_a_window_has_the_latencies_since_the_last_one() -> None:
    tally = Tally()
    for milliseconds in (1, 2, 3):
        tally.latency(milliseconds / 1000)

    assert tally.window() == pytest.approx((2.0, 3.0))
    assert tally.window() == (0.0, 0.0)
    assert tally.overall() == pytest.approx((2.0, 3.0, 3))


def test_answers_and_problems_are_counted() -> None:
    tally = Tally()
    for status in (200, 201, 503, 500, "INTERNAL"):
        tally.answer("member", status)
    tally.problem("lifecycle", "a training failed")

    assert tally.by_class() == {"2xx": 2, "503": 1, "500": 1, "INTERNAL": 1}
    assert tally.forbidden() == {"member 500": 1, "member INTERNAL": 1}
    assert tally.problem_count == 1
    assert "lifecycle: a training failed" in tally.problems[0]
