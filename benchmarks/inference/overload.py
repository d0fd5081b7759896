"""Measure Tidepool under three times its peak load."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.inference.contender import warm_up
from benchmarks.inference.payloads import Case
from benchmarks.inference.server import driven
from benchmarks.inference.tidepool_stack import Running, running
from benchmarks.inference.wrk import Measured, drive

SWEEP = (8, 32, 128)  # connections
TIMES = 3
MAX_CONNECTIONS = 1024  # at a rate; more than are ever accepted, so that some are free
MIN_GOODPUT, MAX_SLOWDOWN = 0.9, 3.0  # relative to the requests/s and the p99 at the peak


@dataclass(frozen=True)
class Overload:
    """The peak and the connections that reach it, and three times that load in connections and in requests/s.

    Memory is the gateway's resident memory in bytes, before and after.
    """

    connections: int
    peak: Measured
    connections_thrice: Measured
    rate_thrice: Measured
    memory_before: int
    memory_after: int

    @classmethod
    def of(cls, fields: dict[str, Any]) -> "Overload":
        """Return what `asdict` made a dictionary of."""
        loads = {name: Measured(**fields[name]) for name in ("peak", "connections_thrice", "rate_thrice")}
        return cls(**(fields | loads))

    def goodput(self, overloaded: Measured) -> float:
        return overloaded.per_s / self.peak.per_s

    def slowdown(self, overloaded: Measured) -> float:
        """Return the p99 of accepted requests relative to the p99 at the peak."""
        return overloaded.p99_ms / self.peak.p99_ms


def overload(case: Case, folder: Path, seconds: int) -> Overload:
    """Run each load for `seconds`; raises ServerFailed."""
    with running(case, folder) as stack:
        run = driven(stack.request)
        warm_up(run, max(SWEEP))
        swept = {count: run(count, seconds) for count in SWEEP}
        connections, peak = max(swept.items(), key=lambda item: item[1].per_s)
        before = _memory(stack)
        thrice = run(TIMES * connections, seconds)
        return Overload(
            connections=connections,
            peak=peak,
            connections_thrice=thrice,
            rate_thrice=drive(stack.request, MAX_CONNECTIONS, seconds, TIMES * peak.per_s),
            memory_before=before,
            memory_after=_memory(stack),
        )


def _memory(stack: Running) -> int:
    gateway = psutil.Process(int(stack.home.pid("gateway").read_text()))
    return sum(process.memory_info().rss for process in (gateway, *gateway.children(recursive=True)))
