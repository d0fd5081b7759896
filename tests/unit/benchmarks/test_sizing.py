"""The numbers of processes that follow from measured CPU time."""

import json
from pathlib import Path

import pytest

from benchmarks.sizing.report import Cell, write

CELL = Cell(
    model="cnn",
    images="32 × 32",
    file_bytes=1024,
    per_s=2000.0,
    cpu_ms={"gateway": 0.14, "redis": 0.07, "inference": 0.7},
    memory_mib={"gateway": 180.0, "redis": 20.0, "inference": 210.0},
)


@pytest.mark.parametrize(("rate", "replicas", "gateways", "cores"), [(10, 1, 1, 1), (1000, 1, 1, 2), (3000, 3, 1, 4)])
def test_processes_follow_from_the_cpu_time_of_an_image(rate: int, replicas: int, gateways: int, cores: int) -> None:
    numbers = CELL.processes("inference", rate), CELL.processes("gateway", rate), CELL.cores(rate)
    assert numbers == (replicas, gateways, cores)


def test_the_page_and_the_numbers_are_written(tmp_path: Path) -> None:
    write([CELL], "How it was measured.", {"CPU": "a CPU"}, tmp_path)

    page = (tmp_path / "sizing.md").read_text()
    assert "| cnn | 32 × 32 | 1 | 0.14 | 0.07 | 0.70 | 210 |" in page
    assert "| cnn | 32 × 32 | 1 · 1 · 1 | 1 · 1 · 1 | 1 · 1 · 2 |" in page
    assert json.loads((tmp_path / "sizing.json").read_text())["cells"][0]["cpu_ms"]["gateway"] == 0.14
