"""The only place that says how often a training tells how far it is."""

import time
from collections.abc import Callable

INTERVAL_S = 0.5


class Pulse:
    """Is due at once and then twice a second at most."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = clock()

    def due(self) -> bool:
        """Whether the interval has passed; if so, the next one begins."""
        now = self._clock()
        if now < self._next:
            return False
        self._next = now + INTERVAL_S
        return True
