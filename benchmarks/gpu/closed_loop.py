"""Load with a fixed concurrency, measured as Triton's perf_analyzer does.

Each of `concurrency` threads sends its next request when its last one was answered. The time is cut into windows; the
measurement ends when three windows in a row differ by at most 10 % in throughput and in mean latency (perf_analyzer's
default `--stability-percentage 10`), and the result is that of these windows together. perf_analyzer's windows are 5 s
long; with `window_s` they are shorter here, so that the whole check stays under eight minutes.
"""

import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

STABLE_WINDOWS, STABLE_SHARE = 3, 0.10
LEAST_REQUESTS = 3  # of a thread in a window, by its first request; slow models have longer windows

Call = Callable[[], None]
"""Sends a request and waits for its answer; raises an error if it fails."""


class Answered(NamedTuple):
    """A request that ended at `at` (seconds of time.perf_counter) after `seconds`."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Load:
    """`per_s` are images a second; `stable` is False if the last windows still differed at the end of the time."""

    per_s: float
    p50_ms: float
    p99_ms: float
    requests: int
    stable: bool


class LoadFailed(Exception):
    """A request failed, or none was answered."""


def closed_loop(
    open_call: Callable[[], Call], concurrency: int = 1, images: int = 1, window_s: float = 0.5, most_windows: int = 6
) -> Load:
    """Measure; each thread opens a call of its own, and a request has `images` images. Raises LoadFailed."""
    answered: list[Answered] = []  # append is atomic
    failures: list[Exception] = []
    over = threading.Event()
    load: Load | None = None

    def work() -> None:
        try:
            call = open_call()
            call()  # the first one connects and warms up
            while not over.is_set():
                started = time.perf_counter()
                call()
                ended = time.perf_counter()
                answered.append(Answered(ended, ended - started))
        except Exception as error:  # noqa: BLE001  of whatever is measured
            failures.append(error)
            over.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    try:
        while not answered and not over.wait(0.01):  # the windows begin when requests are answered
            pass
        started = time.perf_counter()
        if answered:
            window_s = max(window_s, LEAST_REQUESTS * answered[0].seconds)
        for number in range(1, 10 * most_windows + 1):  # on a busy machine, the first ones may be empty
            if over.wait(max(0.0, started + number * window_s - time.perf_counter())):
                break
            load = summary(list(answered), started, number, window_s, images)
            if load is not None and (load.stable or number >= most_windows):
                break
    finally:
        over.set()
        for thread in threads:
            thread.join(10)
    if failures:
        raise LoadFailed(f"a request failed: {type(failures[0]).__name__}: {failures[0]}")
    if load is None:
        raise LoadFailed("no request was answered")
    return load


def summary(answered: list[Answered], started: float, windows: int, window_s: float, images: int) -> Load | None:
    """Return the result of the last three of `windows` windows, or of fewer; None without an answer."""
    counted = min(windows, STABLE_WINDOWS)
    first = windows - counted
    parts: list[list[float]] = [[] for _ in range(counted)]
    for at, seconds in answered:
        number = int((at - started) // window_s) - first
        if 0 <= number < counted:
            parts[number].append(seconds)
    latencies = sorted(second for part in parts for second in part)
    if not latencies:
        return None
    stable = counted == STABLE_WINDOWS and all(parts) and _close([1 / len(part) for part in parts])
    stable = stable and _close([statistics.fmean(part) for part in parts])
    return Load(
        per_s=images * len(latencies) / (counted * window_s),
        p50_ms=1000 * statistics.median(latencies),
        p99_ms=1000 * latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)],
        requests=len(latencies),
        stable=stable,
    )


def _close(values: list[float]) -> bool:
    middle = statistics.fmean(values)
    return all(abs(value - middle) <= STABLE_SHARE * middle for value in values)
