"""Polling for a short while before sleeping, since waking up takes long; see docs/adr/0062."""

import os
import time
from collections.abc import Callable

from contract.control_groups import available_cores

OTHERS_S = 0.0003  # another process needs a core that is not given back sooner
REST_S = 0.01  # without spinning, after another process needed the core


def _give_way() -> None:
    os.sched_yield()  # not on every system, so it is looked up when it is needed


class Spin:
    """Decides how long a wait looks again and again for what it waits for, before it sleeps.

    A wait spins if the one before it was short, and stops when other processes need the cores. So it takes no time from
    them, and none where little happens. Not thread-safe.
    """

    def __init__(
        self,
        most_s: float = 0.0,
        cores: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
        give_way: Callable[[], None] = _give_way,
    ) -> None:
        """A wait spins for at most `most_s` seconds, and not at all if that is 0.

        `cores` are those of this process and the others that its waits depend on; by default, all that it may use.
        `give_way` lets other processes run first.
        """
        self._most_s = most_s
        self._cores = available_cores() if cores is None else cores
        self._clock = clock
        self._give_way = give_way
        self._began = self._until = self._rests_until = clock()
        self._was_short = False

    def begin(self) -> None:
        """Begin a wait."""
        now = self._began = self._clock()
        spins = self._was_short and now >= self._rests_until
        self._until = now + self._most_s if spins else now

    def again(self, busy: int) -> bool:
        """Let other processes run, then return whether to look again; if not, the rest of the wait is for sleep.

        `busy` is how many others are known to need a core each.
        """
        now = self._clock()
        if now >= self._until or busy >= self._cores:
            return False
        self._give_way()
        if self._clock() - now < OTHERS_S:
            return True
        self._rests_until = now + REST_S
        return False

    def end(self) -> None:
        """End the wait."""
        self._was_short = self._clock() - self._began < self._most_s
