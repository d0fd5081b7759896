"""Parts of the pages of results: tables, and what they ran on."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Line = dict[str, Any]
"""Measurements of one case, as they are kept in JSON."""

MISSING = "–"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; columns whose name starts with `>` are aligned to the right."""
    rule = ("---:" if column.startswith(">") else "---" for column in columns)
    names = (column.removeprefix(">") for column in columns)
    return [_row(names), f"|{'|'.join(rule)}|", *(_row(row) for row in rows), ""]


def ran_on_list(ran_on: Mapping[str, str]) -> list[str]:
    """Return the machine and the versions as a list."""
    return [*(f"* {name}: {value}" for name, value in ran_on.items()), ""]


def spread(values: Iterable[float], digits: int = 1) -> str:
    """Return the mean ± the standard deviation of the sample."""
    numbers = list(values)
    if not numbers:
        return MISSING
    text = f"{statistics.fmean(numbers):.{digits}f}"
    return f"{text} ± {statistics.stdev(numbers):.{digits}f}" if len(numbers) > 1 else text


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
