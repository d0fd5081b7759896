"""The cores of this machine that this process may use."""

import os


def available_cores() -> int:
    """Return the number of cores that this process may use, which a container or `taskset` can limit."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
