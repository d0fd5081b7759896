"""The measurements as lines of JSON, written one by one, so that a run can be resumed, extended or repeated."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

from benchmarks.page import Line


class Log:
    """The newest line of each row and seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[tuple[str, int], Line] = {}
        if path.exists():
            for text in path.read_text().splitlines():
                self._keep(json.loads(text))

    def add(self, line: Line) -> None:
        """Append a line, which replaces an earlier one of the same row and seed."""
        self._keep(line)
        with self._path.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def done(self, row: str, seed: int) -> bool:
        """Return whether a row was measured with a seed, without an error."""
        return (row, seed) in self._lines and "error" not in self._lines[row, seed]

    def lines(self, row: str | None = None) -> list[Line]:
        """Return the lines of a row, or of all rows, in the order of their seeds."""
        chosen = [line for (name, _), line in self._lines.items() if row in {None, name}]
        return sorted(chosen, key=lambda line: line["seed"])

    def values(self, row: str, field: str) -> list[float]:
        """Return a field of all seeds of a row; seeds that failed have none."""
        return [line[field] for line in self.lines(row) if line.get(field) is not None]

    def _keep(self, line: Line) -> None:
        self._lines[line["row"], line["seed"]] = line


def mean(values: Iterable[float]) -> float | None:
    """Return the mean, or None without values."""
    values = list(values)
    return statistics.fmean(values) if values else None


def deviation(values: Iterable[float]) -> float | None:
    """Return the standard deviation of the sample, or None for fewer than two values."""
    values = list(values)
    return statistics.stdev(values) if len(values) > 1 else None
