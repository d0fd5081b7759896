"""The only place that counts the seconds in which a replica is at work, and for what."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from contract.usage import Use


class Busy:
    """Any threads begin and end work, others read meanwhile; what is done at the same time shares the seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way: list[Use] = []
        self._since = clock()
        self._total = 0.0
        self._spent: dict[Use, float] = defaultdict(float)

    @property
    def working(self) -> bool:
        return bool(self._under_way)

    def begin(self, use: Use) -> None:
        with self._lock:
            self._count()
            self._under_way.append(use)

    def end(self, use: Use) -> None:
        with self._lock:
            self._count()
            self._under_way.remove(use)

    def total(self) -> float:
        """All seconds so far."""
        with self._lock:
            self._count()
            return self._total

    def take(self) -> dict[Use, float]:
        """The seconds since this was asked last, by what they were for."""
        with self._lock:
            self._count()
            taken, self._spent = self._spent, defaultdict(float)
            return taken

    def _count(self) -> None:
        now = self._clock()
        passed, self._since = now - self._since, now
        if self._under_way:
            self._total += passed
        for use in self._under_way:
            self._spent[use] += passed / len(self._under_way)
