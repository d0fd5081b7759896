"""Load with a fixed concurrency"""

import threading
import time

import pytest

from benchmarks.gpu.closed_loop import Answered, Call, LoadFailed, closed_loop, summary


def test_as_many_requests_are_in_flight_as_the_concurrency() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def call() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    load = closed_loop(lambda: call, 4, images=2, window_s=0.05)

    assert most == 4
    assert load.p50_ms >= 10
    assert 0 < load.per_s <= 2 * 4 / 0.01


def test_a_request_that_fails_ends_the_measurement() -> None:
    def open_call() -> Call:
        raise OSError("refused")

    with pytest.raises(LoadFailed, match="OSError: refused"):
        closed_loop(open_call, 2, window_s=0.05)


def windows(*counts: int, seconds: float = 0.01) -> list[Answered]:
    """Answers at equal distances within windows of a second."""
    return [
        Answered(number + (place + 0.5) / count, seconds)
        for number, count in enumerate(counts)
        for place in range(count)
    ]


def test_the_last_three_windows_count() -> None:
    load = summary(windows(10, 100, 100, 104), 0.0, 4, 1.0, images=8)

    assert load is not None
    assert (load.requests, load.stable) == (304, True)
    assert load.per_s == pytest.approx(8 * 304 / 3)
    assert (load.p50_ms, load.p99_ms) == (pytest.approx(10), pytest.approx(10))


def test_windows_that_differ_by_more_than_a_tenth_are_not_stable() -> None:
    rates = summary(windows(100, 100, 150), 0.0, 3, 1.0, images=1)
    latencies = summary([*windows(50, 50), *(Answered(2 + n / 50, 0.02) for n in range(50))], 0.0, 3, 1.0, images=1)

    assert rates is not None
    assert latencies is not None
    assert not rates.stable
    assert not latencies.stable


def test_fewer_than_three_windows_or_an_empty_one_are_not_stable() -> None:
    two, gap = summary(windows(10, 10), 0.0, 2, 1.0, images=1), summary(windows(10, 10), 0.0, 3, 1.0, images=1)

    assert two is not None
    assert gap is not None
    assert not two.stable
    assert not gap.stable
    assert summary([], 0.0, 3, 1.0, images=1) is None


def test_slow_requests_have_longer_windows() -> None:
    load = closed_loop(lambda: lambda: time.sleep(0.05), window_s=0.001, most_windows=3)

    assert load.requests >= 3
    assert load.p50_ms >= 50
