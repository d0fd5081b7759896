"""What this process may use of its machine: the cores it may run on, and the limits of its control group."""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
GROUPS = Path("/proc/self/cgroup")
UNLIMITED = 1 << 60  # version 1 writes a number near 2**63 for no limit


@dataclass(frozen=True)
class Limits:
    """None without a limit; `used_bytes` counts towards it, without the page cache that the kernel can reclaim."""

    cores: float | None = None
    memory_bytes: int | None = None
    used_bytes: int | None = None


def allowed_cores() -> set[int]:
    """Return the numbers of the cores that this process may run on, which `taskset` or `cpuset` can restrict."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def limits(root: Path = ROOT, groups: Path = GROUPS) -> Limits:
    """Return the tightest limits of the group and those above it, of either version of control groups."""
    cores: list[float] = []
    memories: list[tuple[int, int]] = []
    for folder in _folders(root, groups, ""):  # version 2
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal():
            cores.append(int(quota) / int(period))
        memories += _memory(folder, "memory.max", "memory.current", "inactive_file")
    for folder in _folders(root, groups, "cpu"):  # version 1
        number, period = (_read(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
        if number.isdecimal() and period.isdecimal():
            cores.append(int(number) / int(period))
    for folder in _folders(root, groups, "memory"):
        memories += _memory(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
    tightest = min(memories, default=(None, None))
    return Limits(min(cores, default=None), *tightest)


def available_cores() -> int:
    """Return how many cores this process may keep busy: those that are allowed, or the limit of its container."""
    cores, quota = len(allowed_cores()), limits().cores
    return cores if quota is None else max(1, min(cores, int(quota)))


def _folders(root: Path, groups: Path, controller: str) -> list[Path]:
    """Return the folder of this process's group and those above it; `controller` is empty for version 2."""
    for line in _read(groups).splitlines():
        _, controllers, name = line.split(":", 2)
        if controller == controllers or (controller and controller in controllers.split(",")):
            top = root / controller if controller else root
            folder = top / name.lstrip("/")
            above = [parent for parent in folder.parents if parent.is_relative_to(top)]
            return [path for path in (folder, *above) if path.is_dir()]
    return []


def _memory(folder: Path, limit: str, usage: str, cache: str) -> list[tuple[int, int]]:
    """Return the limit and the use without the cache, which is a line of memory.stat; empty without a limit."""
    most, used = _read(folder / limit), _read(folder / usage)
    if not (most.isdecimal() and used.isdecimal() and int(most) < UNLIMITED):
        return []
    stat = dict(line.split(" ", 1) for line in _read(folder / "memory.stat").splitlines())
    return [(int(most), max(0, int(used) - int(stat.get(cache, 0))))]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
