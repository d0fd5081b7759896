"""Counts the seconds in which a replica works, by use."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from contract.usage import Use


class Busy:
    """Measures busy seconds by use; thread-safe. Uses that overlap share the seconds equally."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._active: list[Use] = []
        self._since = clock()
        self._total = 0.0
        self._spent: dict[Use, float] = defaultdict(float)

    @property
    def working(self) -> bool:
        return bool(self._active)

    def begin(self, use: Use) -> None:
        with self._lock:
            self._count()
            self._active.append(use)

    def end(self, use: Use) -> None:
        with self._lock:
            self._count()
            self._active.remove(use)

    def total(self) -> float:
        """Return the busy seconds since the start."""
        with self._lock:
            self._count()
            return self._total

    def take(self) -> dict[Use, float]:
        """Return the busy seconds since the last call, by use."""
        with self._lock:
            self._count()
            taken, self._spent = self._spent, defaultdict(float)
            return taken

    def _count(self) -> None:
        now = self._clock()
        elapsed, self._since = now - self._since, now
        if self._active:
            self._total += elapsed
        for use in self._active:
            self._spent[use] += elapsed / len(self._active)
