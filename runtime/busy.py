"""The only place that counts the seconds in which a thread of a replica is at work, and for what."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from services.storage.ledger import Use


class Busy:
    """One thread begins and ends work, others read, also while the work is under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._use: Use | None = None
        self._since = 0.0
        self._total = 0.0
        self._spent: dict[Use, float] = defaultdict(float)

    @property
    def working(self) -> bool:
        return self._use is not None

    def begin(self, use: Use) -> None:
        with self._lock:
            self._use, self._since = use, self._clock()

    def end(self) -> None:
        with self._lock:
            self._count()
            self._use = None

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
        if self._use is not None:
            now = self._clock()
            self._spent[self._use] += now - self._since
            self._total += now - self._since
            self._since = now
