"""The cores of this machine that this process may use."""

import os

from contract.control_groups import limits


def allowed_cores() -> set[int]:
    """Return the numbers of the cores that this process may run on, which `taskset` or `cpuset` can restrict."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def available_cores() -> int:
    """Return how many cores this process may keep busy: those that are allowed, or the limit of its container."""
    quota = limits().cores
    return len(allowed_cores()) if quota is None else max(1, min(len(allowed_cores()), int(quota)))
