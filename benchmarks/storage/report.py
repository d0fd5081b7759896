"""Write what was measured as a page and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.page import MISSING, ran_on_list, table
from benchmarks.storage.operations import Timing

GOAL_MS = 10.0


@dataclass(frozen=True)
class Measured:
    """A database with a number of rows: times by operation, and blocks that PostgreSQL reads for one."""

    database: str
    rows: int
    timings: Mapping[str, Timing]
    blocks: Mapping[str, int]


def write(
    measured: Sequence[Measured], redis: Mapping[str, float], how: str, ran_on: Mapping[str, str], to: Path
) -> None:
    """Write storage.md and storage.json."""
    to.mkdir(parents=True, exist_ok=True)
    document = {
        "how": how,
        "measured": [asdict(database) for database in measured],
        "redis": dict(redis),
        "ran_on": dict(ran_on),
    }
    (to / "storage.json").write_text(json.dumps(document, indent=1) + "\n")
    lines = ["# Storage: claims, counts and lists with many jobs", "", how, ""]
    for database in dict.fromkeys(entry.database for entry in measured):
        lines += [f"## {database}", "", *_table([entry for entry in measured if entry.database == database])]
    if redis:
        costs = ((name.removesuffix("_ms"), f"{cost:.3f}") for name, cost in redis.items())
        lines += ["## Redis", "", *table(["operation", ">CPU ms"], costs)]
    (to / "storage.md").write_text("\n".join([*lines, *ran_on_list(ran_on)]))


def _table(measured: Sequence[Measured]) -> list[str]:
    columns = ["operation, ms"]
    for entry in measured:
        columns += [f">{entry.rows:,} rows: median", ">p99", ">server's CPU", ">blocks"]
    names = dict.fromkeys(name for entry in measured for name in entry.timings)
    return table(columns, ([name, *(cell for entry in measured for cell in _cells(entry, name))] for name in names))


def _cells(entry: Measured, name: str) -> Sequence[str]:
    timing = entry.timings.get(name)
    if timing is None:
        return [MISSING] * 4
    median = f"{timing.median:.1f}"
    blocks = entry.blocks.get(name)
    return [
        median if timing.median <= GOAL_MS else f"**{median}**",
        f"{timing.p99:.1f}",
        f"{timing.cpu:.2f}" if timing.cpu else MISSING,
        MISSING if blocks is None else f"{blocks:,}",
    ]
