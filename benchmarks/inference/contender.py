"""What takes part in the benchmark: something that can be opened for a case and then driven."""

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
"""Measures a number of connections for a number of seconds."""

Open = Callable[[Case, Path], AbstractContextManager[Drive]]
"""Makes it ready for a case, its files in a folder of its own; raises ServerFailed."""


@dataclass(frozen=True)
class Contender:
    """A server in one of its settings; of several settings of a server the best counts, point by point."""

    server: str
    setting: str
    open: Open

    def __str__(self) -> str:
        return f"{self.server} ({self.setting})" if self.setting else self.server


def warm_up(drive: Drive, connections: int) -> None:
    """Let it fill its caches and start its threads, as a server that has run for a while has done."""
    for count in sorted({1, connections}):
        drive(count, WARM_UP_S)
