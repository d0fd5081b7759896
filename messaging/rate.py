"""The only place that turns a count that grows into how fast it grows."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 10.0
SHORTEST_S = 1.0  # a window that has just begun says little


class Rate:
    """What a count has grown by in a second, on average over the last seconds; asked about once a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = deque([(clock(), 0.0)])

    def of(self, count: float) -> float:
        """Note the count as it is now; its growth over the window, or since it was noted last if that is longer."""
        now = self._clock()
        self._seen.append((now, count))
        while self._seen[1][0] <= now - WINDOW_S:
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / max(now - since, SHORTEST_S)
