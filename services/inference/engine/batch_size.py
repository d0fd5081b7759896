"""The only place that says how large a batch a device is worth."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

REPEATS = 5
GOOD_ENOUGH = 0.95  # of the best throughput; beyond it a larger batch only makes its first request wait


def doublings(most: int) -> tuple[int, ...]:
    """The powers of two below `most`, and `most`: the sizes of batch that a device is warm for."""
    return (*(2**power for power in range((most - 1).bit_length())), most)


def timed(
    run: Callable[[int], object], sizes: Sequence[int], clock: Callable[[], float] = time.perf_counter
) -> dict[int, float]:
    """The median seconds of a batch of each size, after one run that is not counted."""
    seconds = {}
    for size in sizes:
        run(size)
        laps = []
        for _ in range(REPEATS):
            started = clock()
            run(size)
            laps.append(clock() - started)
        seconds[size] = statistics.median(laps)
    return seconds


def best_batch(seconds: Mapping[int, float]) -> int:
    """The smallest batch whose throughput is within 5 % of the best, from the seconds that each size takes."""
    throughput = {size: size / max(taken, 1e-9) for size, taken in seconds.items()}
    enough = GOOD_ENOUGH * max(throughput.values())
    return min(size for size, rate in throughput.items() if rate >= enough)
