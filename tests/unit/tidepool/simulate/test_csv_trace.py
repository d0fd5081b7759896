from pathlib import Path

import pytest

from services.autoscaler.policy_state import MAX_GAP_S
from tidepool.errors import Trouble
from tidepool.simulate.csv_trace import read_trace
from tidepool.simulate.steps import Steps


def written(path: Path, text: str) -> Path:
    file = path / "mine.csv"
    file.write_text(text)
    return file


def test_a_file(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "seconds,requests_per_second\n100,2\n160,7.5\n400,0\n"))
    assert (trace.name, list(trace.starts), list(trace.rates), trace.seconds) == ("mine", [0, 60], [2, 7.5], 300)


def test_a_decision_of_the_longest_trace_remembers_the_one_before(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, f"seconds,requests_per_second\n0,1\n{31 * 86400},0\n"))
    steps = Steps.of(trace.seconds, service_s=0.02)
    assert steps.a_decision * steps.seconds < MAX_GAP_S


def test_columns_in_any_order_and_others_beside_them(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "\ufeffrequests_per_second,note,seconds\n3,x,0\n4,y,10\n"))
    assert (trace.peak, trace.seconds) == (3, 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line"),
        ("time,rate\n0,1\n", "first line"),
        ("seconds,requests_per_second\n", "two rows"),
        ("seconds,requests_per_second\n0,1\n", "two rows"),
        ("seconds,requests_per_second\n0,1\n0,1\n", "ascending"),
        ("seconds,requests_per_second\n0,1\n5,-1\n", "'-1' in the column requests_per_second"),
        ("seconds,requests_per_second\n0,many\n5,1\n", "'many'"),
        ("seconds,requests_per_second\n0,nan\n5,1\n", "'nan'"),
        ("seconds,requests_per_second\n0,1e308\n5,1\n", "'1e308' .* from 0 to 1,000,000,000"),
        ("seconds,requests_per_second\n0,1\n1e308,1\n", "'1e308' in the column seconds"),
        ("seconds,requests_per_second\n0\n5,1\n", "None"),
        ("seconds,requests_per_second\n0,1\n8640000,1\n", "100 days; it may be 31"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Trouble, match=said):
        read_trace(written(tmp_path, text))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"none\.csv"):
        read_trace(tmp_path / "none.csv")
