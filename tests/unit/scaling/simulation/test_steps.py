import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.policy import DECIDE_S
from scaling.simulation.steps import MAX_STEPS, Steps


def test_a_step_is_one_request_if_possible() -> None:
    steps = Steps.of(trace_s=3600, service_s=0.02)
    assert (steps.requests_per_step, steps.steps_per_request, steps.count) == (1, 1, 180_000)
    assert steps.seconds == 0.02


def test_short_requests_of_a_long_trace_share_steps() -> None:
    steps = Steps.of(trace_s=86400, service_s=0.02)
    assert (steps.requests_per_step, steps.steps_per_request) == (22, 1)
    assert steps.seconds == pytest.approx(0.44)


def test_long_jobs_take_several_steps() -> None:
    steps = Steps.of(trace_s=86400, service_s=61.5)
    assert (steps.requests_per_step, steps.steps_per_request) == (1, 62)
    assert steps.seconds == pytest.approx(61.5 / 62)


def test_the_shortest_trace_has_one_step() -> None:
    assert Steps.of(trace_s=1e-300, service_s=0.02).count == 1


@given(st.floats(1, 1e7), st.floats(1e-5, 1e5))
def test_the_steps_cover_the_trace(trace_s: float, service_s: float) -> None:
    steps = Steps.of(trace_s, service_s)
    assert steps.seconds * steps.steps_per_request == pytest.approx(service_s * steps.requests_per_step)
    assert steps.seconds * steps.count >= trace_s * (1 - 1e-6)
    assert steps.count <= max(1, 2 * MAX_STEPS)
    assert steps.requests_per_step == 1 or steps.steps_per_request == 1
    assert steps.steps_per_decision * steps.seconds <= max(1.5 * DECIDE_S, 2 * trace_s / MAX_STEPS, service_s)


def test_seconds_are_counted_in_steps() -> None:
    steps = Steps(seconds=0.3, count=10, requests_per_step=1, steps_per_request=1)
    assert [steps.count_in(seconds) for seconds in (0, 0.1, 0.3, 0.31, 0.9)] == [0, 1, 1, 2, 3]
