"""The limits of control groups"""

import os
from pathlib import Path

import pytest

from contract import control_groups
from contract.control_groups import Limits, available_cores, limits

MIB = 2**20


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def write(root: Path, **files: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_control_groups_there_is_no_limit(tmp_path: Path, groups: Path) -> None:
    assert limits(tmp_path, groups) == Limits()


def test_the_tightest_limit_of_the_group_and_those_above_counts(tmp_path: Path, groups: Path) -> None:
    groups.write_text("0::/pod/container\n")
    write(tmp_path / "pod", cpu__max="150000 100000", memory__max=str(4096 * MIB), memory__current=str(100 * MIB))
    write(tmp_path / "pod" / "container", cpu__max="max 100000", memory__max=str(512 * MIB), memory__current="7")

    assert limits(tmp_path, groups) == Limits(1.5, 512 * MIB, 7)


def test_a_container_sees_its_own_group_as_the_root(tmp_path: Path, groups: Path) -> None:
    groups.write_text("0::/\n")
    write(tmp_path, cpu__max="50000 100000", memory__max="max", memory__current="7")

    assert limits(tmp_path, groups) == Limits(0.5)


def test_the_page_cache_that_can_be_reclaimed_is_not_in_use(tmp_path: Path, groups: Path) -> None:
    groups.write_text("0::/\n")
    stat = f"anon {90 * MIB}\nfile {300 * MIB}\ninactive_file {200 * MIB}"
    write(tmp_path, memory__max=str(512 * MIB), memory__current=str(400 * MIB), memory__stat=stat)

    assert limits(tmp_path, groups) == Limits(None, 512 * MIB, 200 * MIB)


def test_version_1(tmp_path: Path, groups: Path) -> None:
    groups.write_text("3:cpu,cpuacct:/docker/1\n2:memory:/docker/1\n0::/\n")
    write(tmp_path / "cpu" / "docker" / "1", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    write(tmp_path / "memory" / "docker" / "1", memory__limit_in_bytes=str(MIB), memory__usage_in_bytes="9")
    write(tmp_path / "memory" / "docker" / "1", memory__stat="inactive_file 1\ntotal_inactive_file 4")
    write(tmp_path / "memory", memory__limit_in_bytes="9223372036854771712", memory__usage_in_bytes="9")

    assert limits(tmp_path, groups) == Limits(2.0, MIB, 5)


@pytest.mark.parametrize(("quota", "usable"), [(None, 6), (64.0, 6), (4.0, 4), (2.5, 2), (0.5, 1)])
def test_a_process_keeps_no_more_cores_busy_than_its_container_may(
    quota: float | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    monkeypatch.setattr(control_groups, "limits", lambda: Limits(cores=quota))

    assert available_cores() == usable
