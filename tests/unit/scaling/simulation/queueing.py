"""Known results of queueing theory."""

import math


def mean_wait_mdc(servers: int, utilization: float) -> float:
    """Return the mean wait of an M/D/c queue in service times.

    C. D. Crommelin, Delay probability formulae when the holding times are constant, Post Office Electrical Engineers
    Journal 25 (1932): for the load a = c * rho, the sum over i >= 1 of
    P(Poisson(i a) >= i c) - P(Poisson(i a) > i c) / rho, with weights as below.
    """
    load, total = servers * utilization, 0.0
    for i in range(1, 2000):
        mean, most = i * load, i * servers
        at_least = 1.0 - sum(math.exp(_log_poisson(mean, count)) for count in range(most))
        more = at_least - math.exp(_log_poisson(mean, most))
        term = at_least - more / utilization
        total += term
        if term < 1e-9:
            break
    return total


def mean_wait_md1(utilization: float) -> float:
    """Return the mean wait of an M/D/1 queue in service times: Pollaczek and Khinchine."""
    return utilization / (2 * (1 - utilization))


def _log_poisson(mean: float, count: int) -> float:
    return count * math.log(mean) - mean - math.lgamma(count + 1)
