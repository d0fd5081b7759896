import pytest

from tidepool.simulate.trace import Trace

TRACE = Trace("steps", starts=(0, 1.5, 4), rates=(2, 10, 0), seconds=5)


def test_the_mean_of_each_step() -> None:
    assert TRACE.expected(1.0, 5) == [2, 6, 10, 10, 0]


@pytest.mark.parametrize(("step_s", "steps"), [(0.25, 20), (0.3, 17), (2.0, 3), (5.0, 1)])
def test_no_request_is_lost_between_steps(step_s: float, steps: int) -> None:
    assert sum(TRACE.expected(step_s, steps)) == pytest.approx(2 * 1.5 + 10 * 2.5)


def test_peak() -> None:
    assert TRACE.peak == 10
