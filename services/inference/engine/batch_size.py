"""Choose the batch size for a device from measured run times."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

REPEATS = 5
THROUGHPUT_SHARE = 0.95  # of the best throughput; a larger batch would only delay its first request


def batch_sizes(most: int) -> tuple[int, ...]:
    """Return the powers of two below `most`, and `most`: the batch sizes that a GPU is warmed up for."""
    return (*(2**power for power in range((most - 1).bit_length())), most)


def time_batches(
    run: Callable[[int], object], sizes: Sequence[int], clock: Callable[[], float] = time.perf_counter
) -> dict[int, float]:
    """Return the median seconds of a run by batch size; the first run of each size is not counted."""
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
    """Return the smallest size with at least 95 % of the best throughput, given the seconds of a run by size."""
    throughput = {size: size / max(duration, 1e-9) for size, duration in seconds.items()}
    threshold = THROUGHPUT_SHARE * max(throughput.values())
    return min(size for size, rate in throughput.items() if rate >= threshold)
