from pathlib import Path

import pytest

from scaling.policy_state import MAX_GAP_S
from scaling.simulation.steps import Steps
from scaling.simulation.trace import Trace
from tidepool.errors import UserFacingError
from tidepool.simulate.trace_sources import TRACES, burst, diurnal, fleet, read_trace


def rate(trace: Trace, second: float) -> float:
    return next(
        rate for start, rate in zip(reversed(trace.starts), reversed(trace.rates), strict=True) if start <= second
    )


@pytest.mark.parametrize("name", TRACES)
def test_a_built_in_trace_has_the_requested_peak(name: str) -> None:
    assert TRACES[name](300).peak == pytest.approx(300)
    assert TRACES[name](300).name == name


def test_diurnal_is_low_at_4_and_peaks_at_16() -> None:
    assert rate(diurnal(100), 4 * 3600) == pytest.approx(5)
    assert rate(diurnal(100), 16 * 3600) == pytest.approx(100)


def test_burst_peaks_for_one_minute_in_ten() -> None:
    trace = burst(100)
    assert [rate(trace, 60 * minute) for minute in (4, 5, 6, 15)] == [5, 100, 5, 100]


def test_fleet_starts_at_7_and_stops_after_19() -> None:
    trace = fleet(60)
    assert [rate(trace, 7 * 3600 + second) for second in (-1, 0, 30, 60, 3600)] == [0, 0, 30, 60, 60]
    assert rate(trace, 20 * 3600) == 0


def written(path: Path, text: str) -> Path:
    file = path / "mine.csv"
    file.write_text(text)
    return file


def test_a_csv_file_is_read(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "seconds,requests_per_second\n100,2\n160,7.5\n400,0\n"))
    assert (trace.name, list(trace.starts), list(trace.rates), trace.seconds) == ("mine", [0, 60], [2, 7.5], 300)


def test_steps_of_the_longest_trace_are_short_enough_for_the_policy(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, f"seconds,requests_per_second\n0,1\n{31 * 86400},0\n"))
    steps = Steps.of(trace.seconds, service_s=0.02)
    assert steps.steps_per_decision * steps.seconds < MAX_GAP_S


def test_columns_can_be_in_any_order_among_others(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "\ufeffrequests_per_second,note,seconds\n3,x,0\n4,y,10\n"))
    assert (trace.peak, trace.seconds) == (3, 10)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The first line"),
        ("time,rate\n0,1\n", "The first line"),
        ("seconds,requests_per_second\n", "two rows"),
        ("seconds,requests_per_second\n0,1\n", "two rows"),
        ("seconds,requests_per_second\n0,1\n0,1\n", "ascending"),
        ("seconds,requests_per_second\n0,1\n5,-1\n", "'-1' in the column requests_per_second"),
        ("seconds,requests_per_second\n0,many\n5,1\n", "'many'"),
        ("seconds,requests_per_second\n0,nan\n5,1\n", "'nan'"),
        ("seconds,requests_per_second\n0,1e308\n5,1\n", "'1e308' .* from 0 to 1,000,000,000"),
        ("seconds,requests_per_second\n0,1\n1e308,1\n", "'1e308' in the column seconds"),
        ("seconds,requests_per_second\n0\n5,1\n", "None"),
        ("seconds,requests_per_second\n0,1\n8640000,1\n", "100 days; the limit is 31 days"),
    ],
)
def test_an_invalid_csv_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserFacingError, match=message):
        read_trace(written(tmp_path, text))


def test_a_missing_csv_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserFacingError, match=r"none\.csv"):
        read_trace(tmp_path / "none.csv")
