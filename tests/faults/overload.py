"""A gateway under overload: goodput, rejections, memory."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import psutil

from tests.faults.cluster import Cluster
from tests.faults.submitter import ACCEPTED, FAILED, REFUSED, Submitter

CLIENTS = 32
TIMES = 3
ROUNDS = 3  # alternate, so that other load on the machine affects both
WARM_S, PEAK_S, OVERLOAD_S = 3.0, 6.0, 12.0  # overload lasts longer than the timeout of a client


@dataclass(frozen=True)
class Overload:
    """`peak` in accepted jobs a second, outcomes in `seconds` of overload, and resident MiB before and at most."""

    peak: float
    counts: Counter[str]
    seconds: float
    memory: tuple[float, float]

    def __str__(self) -> str:
        before, peak_memory = self.memory
        goodput = self.counts[ACCEPTED] / self.seconds
        return (
            f"peak {self.peak:.0f} accepted a second; {TIMES} times that offered for {self.seconds:.0f} s: "
            f"{goodput:.0f} accepted a second, {goodput / self.peak:.0%} of the peak; "
            f"{self.counts[REFUSED]} refused with Retry-After, {self.counts[FAILED]} failed; "
            f"memory {before:.0f} MiB before, {peak_memory:.0f} MiB at most"
        )


def overload(cluster: Cluster) -> Overload:
    """Measure the peak in a closed loop, then offer TIMES the peak in an open loop."""
    submitter, gateway = Submitter(cluster), psutil.Process(cluster.processes["gateway"].pid)
    asyncio.run(submitter.closed_loop(CLIENTS, WARM_S))
    memory, peak, counts = [gateway.memory_info().rss / 2**20], 0.0, Counter[str]()
    for turn in range(1, ROUNDS + 1):
        accepted = asyncio.run(submitter.closed_loop(CLIENTS, PEAK_S))[ACCEPTED]
        peak += (accepted / PEAK_S - peak) / turn
        counts += asyncio.run(submitter.open_loop(TIMES * peak, OVERLOAD_S))
        memory.append(gateway.memory_info().rss / 2**20)
    return Overload(peak, counts, OVERLOAD_S * ROUNDS, (memory[0], max(memory)))
