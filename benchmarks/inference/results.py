"""The measurements and their medians."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.inference.contender import Contender
from benchmarks.inference.payloads import Case
from benchmarks.inference.wrk import Measured


@dataclass(frozen=True)
class Point:
    """What was measured: a case, a server in one setting, and a number of connections."""

    case: str
    server: str
    setting: str
    connections: int


@dataclass
class Results:
    """The runs of each point in the order of the rounds; `missing` holds the reasons of missing measurements."""

    runs: dict[Point, list[Measured]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, case: Case, contender: Contender, connections: int, measured: Measured) -> None:
        point = Point(str(case), contender.server, contender.setting, connections)
        self.runs.setdefault(point, []).append(measured)

    def cases(self) -> list[str]:
        return list(dict.fromkeys(point.case for point in self.runs))

    def servers(self, case: str) -> list[tuple[str, str]]:
        """Return each server with each of its settings."""
        return list(dict.fromkeys((point.server, point.setting) for point in self.runs if point.case == case))

    def connections(self) -> list[int]:
        return sorted({point.connections for point in self.runs})

    def median(self, point: Point) -> Measured | None:
        """Return the median of each number; failed and refused requests are summed."""
        return median(self.runs.get(point, ()))

    def settings(self, case: str, server: str, connections: int, setting: str | None = None) -> list[Measured]:
        """Return the medians of a server at a point, in all of its settings or in one."""
        points = [point for point in self.runs if (point.case, point.server) == (case, server)]
        medians = (
            self.median(point)
            for point in points
            if point.connections == connections and setting in {None, point.setting}
        )
        return [measured for measured in medians if measured is not None]

    def best(self, case: str, server: str, connections: int) -> Measured | None:
        """Return the median of the fastest setting; None if the server was not measured."""
        return max(self.settings(case, server, connections), key=lambda measured: measured.per_s, default=None)

    @classmethod
    def merged(cls, runs: Iterable[dict[str, Any]]) -> "Results":
        """Return the results of several files; a case is taken whole from the last file that has it."""
        by_case: dict[str, dict[Point, list[Measured]]] = {}
        missing: dict[str, str] = {}
        for run in runs:
            cases: dict[str, dict[Point, list[Measured]]] = {}
            for row in run["points"]:
                point = Point(row["case"], row["server"], row["setting"], row["connections"])
                cases.setdefault(point.case, {})[point] = [Measured(**measured) for measured in row["runs"]]
            by_case |= cases
            missing |= run["missing"]
        return cls({point: measured for case in by_case.values() for point, measured in case.items()}, missing)

    def as_json(self) -> list[dict[str, Any]]:
        """Return each point with its median and all of its runs."""
        return [
            asdict(point) | {"median": asdict(middle), "runs": [asdict(run) for run in runs]}
            for point, runs in self.runs.items()
            if (middle := median(runs)) is not None
        ]


def median(runs: Iterable[Measured]) -> Measured | None:
    """Return the medians of the runs' numbers; None if there are no runs."""
    runs = list(runs)
    if not runs:
        return None
    return Measured(
        per_s=statistics.median(run.per_s for run in runs),
        p50_ms=statistics.median(run.p50_ms for run in runs),
        p99_ms=statistics.median(run.p99_ms for run in runs),
        failed=sum(run.failed for run in runs),
        refused=sum(run.refused for run in runs),
    )
