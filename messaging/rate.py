"""The growth rate of a counter over a sliding window."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 10.0
SHORTEST_S = 1.0  # at the start the window would be too short for a meaningful rate


class Rate:
    """The mean growth of a counter per second over the last WINDOW_S seconds, sampled about once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples = deque([(clock(), 0.0)])

    def of(self, count: float) -> float:
        """Add a sample and return the growth per second over the window, or since the last sample if that is longer."""
        now = self._clock()
        self._samples.append((now, count))
        while self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()
        since, earlier = self._samples[0]
        return (count - earlier) / max(now - since, SHORTEST_S)
