"""The checks of the machine"""

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from contract.control_groups import Limits
from contract.health import Level
from tidepool.doctor import machine
from tidepool.doctor.machine import GIB, cores_check, disk_check, gpu_checks, memory_check, probe

CARD = {"name": "NVIDIA H100", "memory_bytes": 80 * GIB, "free_bytes": 79 * GIB}
CPU, GPU = ["CPUExecutionProvider"], ["CUDAExecutionProvider", "CPUExecutionProvider"]


def answer(providers: list[str], *cards: dict[str, Any]) -> dict[str, Any]:
    return {"onnxruntime": "1.32.0", "providers": providers, "driver": "570.1" if cards else None, "gpus": list(cards)}


def memory(total: int, available: int) -> SimpleNamespace:
    return SimpleNamespace(total=total * GIB, available=available * GIB)


def test_a_container_may_have_fewer_cores_than_the_machine() -> None:
    assert cores_check(8, Limits()).level is Level.OK
    check = cores_check(8, Limits(cores=0.5))
    assert (check.level, check.message) == (Level.WARNING, "8 to use, of which the container may use the time of 0.5")


def test_the_memory_that_is_free_within_the_limit_counts() -> None:
    assert memory_check(memory(16, 8), Limits()).level is Level.OK
    assert memory_check(memory(16, 1), Limits()).level is Level.WARNING
    limited = memory_check(memory(16, 8), Limits(memory_bytes=GIB, used_bytes=GIB - 1))
    assert (limited.level, limited.message) == (Level.PROBLEM, "0.0 GiB free of 1.0 GiB, the limit of the container")


def test_a_full_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "not" / "yet"
    for free, level in ((50 * GIB, Level.OK), (2 * GIB, Level.WARNING), (1, Level.PROBLEM)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert disk_check(folder).level is level


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "access", lambda _, right: right == os.F_OK)
    assert "TIDEPOOL_HOME" in (disk_check(tmp_path).advice or "")


@pytest.mark.parametrize(
    ("installed", "reply", "levels"),
    [
        (0, answer(CPU), {"gpu": Level.OK, "onnxruntime": Level.OK}),
        (1, answer(GPU, CARD), {"gpu": Level.OK, "onnxruntime": Level.OK}),
        (1, answer(CPU, CARD), {"gpu": Level.OK, "onnxruntime": Level.WARNING}),
        (1, answer(CPU), {"gpu": Level.PROBLEM, "onnxruntime": Level.OK}),
        (0, None, {"onnxruntime": Level.WARNING}),
    ],
)
def test_the_gpu_and_what_can_use_it(installed: int, reply: Any, levels: dict[str, Level]) -> None:
    checks = list(gpu_checks(installed, reply))

    assert {check.name: check.level for check in checks} == levels
    assert all(check.advice for check in checks if check.level is not Level.OK)


@pytest.mark.parametrize("output", ["", "no JSON\n"])
def test_a_probe_that_fails_tells_nothing(monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=output))
    assert probe() is None


def test_a_probe_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PROBE_S", 0.001)
    assert probe() is None
