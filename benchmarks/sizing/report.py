"""Write what was measured, and the numbers of processes that follow from it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.page import ran_on_list, table
from benchmarks.sizing.processes import ROLES

BUSY = 0.7  # of a core, at most, so that waits stay short
RATES = (10, 100, 1000)  # images a second

FORMULA = f"""\
A process of the gateway, Redis or a replica uses about one core, so for *N* images a second

    processes = N × (CPU ms of an image in this process) ÷ 1000 ÷ {BUSY}

rounded up; {BUSY} is how busy a core may be before waits grow. The cores that a deployment needs are the sum over
gateway, Redis and replicas. Redis is one process, so its share is the limit of a deployment."""


@dataclass(frozen=True)
class Cell:
    """A model with images of one size: the CPU time of an image in each role, in milliseconds."""

    model: str
    images: str
    file_bytes: int
    per_s: float
    cpu_ms: Mapping[str, float]
    memory_mib: Mapping[str, float]

    def processes(self, role: str, rate: float) -> int:
        """Return how many processes of a role answer this many images a second."""
        return max(1, _cores(rate * self.cpu_ms[role]))

    def cores(self, rate: float) -> int:
        """Return the cores that all processes together use at this rate."""
        return _cores(rate * sum(self.cpu_ms.values()))


def _cores(ms_per_s: float) -> int:
    return math.ceil(round(ms_per_s / 1000 / BUSY, 6))  # 3.0000000000000004 are three


def write(cells: Sequence[Cell], how: str, ran_on: Mapping[str, str], folder: Path) -> None:
    """Write sizing.md and sizing.json."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"how": how, "busy": BUSY, "cells": [asdict(cell) for cell in cells], "ran_on": dict(ran_on)}
    (folder / "sizing.json").write_text(json.dumps(document, indent=1) + "\n")
    lines = ["# Sizing: what a prediction costs", "", how, "", FORMULA, "", *_costs(cells), *_needed(cells)]
    (folder / "sizing.md").write_text("\n".join([*lines, *ran_on_list(ran_on)]))


def _costs(cells: Sequence[Cell]) -> list[str]:
    columns = ["model", "images", ">KiB", *(f">{name}, CPU ms" for name in ROLES.values()), ">replica, MiB"]
    rows = (
        [
            cell.model,
            cell.images,
            f"{cell.file_bytes / 1024:.0f}",
            *(f"{cell.cpu_ms[role]:.2f}" for role in ROLES),
            f"{cell.memory_mib['inference']:.0f}",
        ]
        for cell in cells
    )
    return ["## CPU time of one image", "", *table(columns, rows)]


def _needed(cells: Sequence[Cell]) -> list[str]:
    columns = ["model", "images", *(f">{rate} images/s" for rate in RATES)]
    rows = ([cell.model, cell.images, *(_number(cell, rate) for rate in RATES)] for cell in cells)
    title = "## Replicas · gateways · cores for a number of images a second"
    return [title, "", *table(columns, rows)]


def _number(cell: Cell, rate: float) -> str:
    return f"{cell.processes('inference', rate)} · {cell.processes('gateway', rate)} · {cell.cores(rate)}"
