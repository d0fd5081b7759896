import pytest

from tidepool.simulate.trace import Trace
from tidepool.simulate.traces import TRACES, burst, diurnal, fleet


def rate(trace: Trace, second: float) -> float:
    return next(
        rate for start, rate in zip(reversed(trace.starts), reversed(trace.rates), strict=True) if start <= second
    )


@pytest.mark.parametrize("name", TRACES)
def test_the_peak_is_the_one_asked_for(name: str) -> None:
    assert TRACES[name](300).peak == pytest.approx(300)
    assert TRACES[name](300).name == name


def test_a_day_of_people() -> None:
    assert rate(diurnal(100), 4 * 3600) == pytest.approx(5)
    assert rate(diurnal(100), 16 * 3600) == pytest.approx(100)


def test_a_minute_of_every_ten_is_a_burst() -> None:
    trace = burst(100)
    assert [rate(trace, 60 * minute) for minute in (4, 5, 6, 15)] == [5, 100, 5, 100]


def test_cameras_wake_at_seven() -> None:
    trace = fleet(60)
    assert [rate(trace, 7 * 3600 + second) for second in (-1, 0, 30, 60, 3600)] == [0, 0, 30, 60, 60]
    assert rate(trace, 20 * 3600) == 0
