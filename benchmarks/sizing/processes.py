"""The CPU time and memory of the processes of a stack that a prediction passes."""

from collections.abc import Iterator

import psutil

from tidepool.stack.home import Home
from tidepool.stack.status import status_of

ROLES = {"gateway": "gateway", "redis": "Redis", "inference": "replica"}


def cpu_seconds(home: Home) -> dict[str, float]:
    """Return the CPU time that each role has used so far, in user and kernel mode."""
    seconds = dict.fromkeys(ROLES, 0.0)
    for role, process in _processes(home):
        times = process.cpu_times()
        seconds[role] += times.user + times.system
    return seconds


def memory_mib(home: Home) -> dict[str, float]:
    """Return the memory of the largest process of each role, with what it shares with others."""
    largest = dict.fromkeys(ROLES, 0.0)
    for role, process in _processes(home):
        largest[role] = max(largest[role], process.memory_info().rss / 2**20)
    return largest


def _processes(home: Home) -> Iterator[tuple[str, psutil.Process]]:
    for row in status_of(home).components:
        if row.role in ROLES and row.pid is not None:
            yield row.role, psutil.Process(row.pid)
