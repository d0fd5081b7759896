"""What a gateway still does when it is asked for several times what it can: goodput, refusals, memory."""

import asyncio
from collections import Counter
from dataclasses import dataclass

import psutil

from tests.faults.cluster import Cluster
from tests.faults.submitter import ACCEPTED, FAILED, REFUSED, Submitter

CLIENTS = 32
TIMES = 3
ROUNDS = 3  # in turns, so that whatever else the machine does is in both
WARM_S, PEAK_S, OVERLOAD_S = 3.0, 6.0, 12.0  # the last one is longer than a client waits


@dataclass(frozen=True)
class Overload:
    """`peak` is accepted jobs a second, `counts` what became of `seconds` of overload; MiB resident before, at most."""

    peak: float
    counts: Counter[str]
    seconds: float
    memory: tuple[float, float]

    def __str__(self) -> str:
        before, most = self.memory
        goodput = self.counts[ACCEPTED] / self.seconds
        return (
            f"peak {self.peak:.0f} accepted a second; {TIMES} times that offered for {self.seconds:.0f} s: "
            f"{goodput:.0f} accepted a second, {goodput / self.peak:.0%} of the peak; "
            f"{self.counts[REFUSED]} refused with Retry-After, {self.counts[FAILED]} failed; "
            f"memory {before:.0f} MiB before, {most:.0f} MiB at most"
        )


def overload(cluster: Cluster) -> Overload:
    """Find the peak with clients that wait for their answers, then offer several times that, answered or not."""
    submitter, gateway = Submitter(cluster), psutil.Process(cluster.kept["gateway"].pid)
    asyncio.run(submitter.closed_loop(CLIENTS, WARM_S))
    memory, peak, counts = [gateway.memory_info().rss / 2**20], 0.0, Counter[str]()
    for turn in range(1, ROUNDS + 1):
        accepted = asyncio.run(submitter.closed_loop(CLIENTS, PEAK_S))[ACCEPTED]
        peak += (accepted / PEAK_S - peak) / turn
        counts += asyncio.run(submitter.open_loop(TIMES * peak, OVERLOAD_S))
        memory.append(gateway.memory_info().rss / 2**20)
    return Overload(peak, counts, OVERLOAD_S * ROUNDS, (memory[0], max(memory)))
