"""A participant of the benchmark: it is opened for a case, then put under load."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.inference.payloads import Case
from benchmarks.inference.wrk import Measured

CORES = len(os.sched_getaffinity(0))
WARM_UP_S = 1

Drive = Callable[[int, int], Measured]
"""Measures with this many connections for this many seconds."""

Open = Callable[[Case, Path], AbstractContextManager[Drive]]
"""Starts it for a case, with its files in the folder; raises ServerFailed."""


@dataclass(frozen=True)
class Contender:
    """A server in one setting; of a server's settings, the best one at each point counts.

    It takes part in the cases that `fits` accepts.
    """

    server: str
    setting: str
    open: Open
    fits: Callable[[Case], bool] = lambda case: True

    def __str__(self) -> str:
        return f"{self.server} ({self.setting})" if self.setting else self.server


def warm_up(drive: Drive, connections: int) -> None:
    """Let the server fill its caches and start its threads before it is measured."""
    for count in sorted({1, connections}):
        drive(count, WARM_UP_S)
