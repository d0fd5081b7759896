"""The only place that keeps what was read of the database a moment ago, for the requests that cannot wait for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K")
V = TypeVar("V")

FRESH_S = 1.0
MOST = 10_000


class Recent(Generic[K, V]):
    """Values by key, each read about twice a second; what this gateway changes itself is forgotten at once.

    Another gateway hears of a change within a second. An error is not kept.
    """

    def __init__(self, read: Callable[[K], V]) -> None:
        self._read = read
        self._kept: dict[K, tuple[float, V]] = {}
        self._reading: dict[K, asyncio.Task[V]] = {}

    def peek(self, key: K) -> V | None:
        """The value if it is fresh; one that soon will not be is read anew meanwhile."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        left = kept[0] - time.monotonic()
        if left < FRESH_S / 2 and key not in self._reading:
            self._read_anew(key)
        return kept[1] if left > 0 else None

    async def get(self, key: K) -> V:
        """The value, read in a thread by one of those who ask at a time; raises what reading raises."""
        if (kept := self.peek(key)) is not None:
            return kept
        return await asyncio.shield(self._reading.get(key) or self._read_anew(key))

    def forget(self) -> None:
        """Read everything anew, also what is being read now."""
        self._kept.clear()
        self._reading.clear()

    def _read_anew(self, key: K) -> "asyncio.Task[V]":
        reading = self._reading[key] = asyncio.ensure_future(self._refresh(key))
        reading.add_done_callback(lambda read: self._done(key, read))
        return reading

    def _done(self, key: K, read: "asyncio.Task[V]") -> None:
        if self._reading.get(key) is read:
            del self._reading[key]
            if read.cancelled() or read.exception() is not None:
                self._kept.pop(key, None)

    async def _refresh(self, key: K) -> V:
        me = asyncio.current_task()
        value = await run_in_threadpool(self._read, key)
        if len(self._kept) >= MOST:
            self._kept.clear()
        if self._reading.get(key) is me:
            self._kept[key] = (time.monotonic() + FRESH_S, value)
        return value
