"""How many cores this process may keep busy."""

from contract.control_groups import allowed_cores, limits


def available_cores() -> int:
    """Return how many cores this process may keep busy: those that are allowed, or the limit of its container."""
    cores, quota = len(allowed_cores()), limits().cores
    return cores if quota is None else max(1, min(cores, int(quota)))
