"""The cores of this machine that this process may use."""

import os

from contract.control_groups import limits


def available_cores() -> int:
    """Return the number of cores that this process may use, which `taskset` or the limit of a container can lower."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = limits().cores
    return cores if quota is None else max(1, min(cores, int(quota)))
