"""A cache of database reads for requests that cannot wait for the database."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from anyio import CapacityLimiter, to_thread

K = TypeVar("K")
V = TypeVar("V")

TTL_S = 1.0
MAX_ENTRIES = 10_000


class TtlCache(Generic[K, V]):
    """Values by key, kept for a time and refreshed in the background after half of it if they are in use.

    The time begins when the read begins, so no value is older than that.

    `forget` makes this gateway's own changes visible at once; other gateways see them when the time is over.
    Errors are not cached.
    """

    def __init__(
        self, read: Callable[[K], V], threads: CapacityLimiter | None = None, ttl_s: float | None = None
    ) -> None:
        """`read` runs in one of `threads`, by default those of the endpoints; `ttl_s` is TTL_S by default."""
        self._read = read
        self._threads = threads
        self._ttl_s = ttl_s
        self._entries: dict[K, tuple[float, V]] = {}
        self._reads: dict[K, asyncio.Task[V]] = {}

    def peek(self, key: K) -> V | None:
        """Return the value if it is fresh; start a refresh in the background if it soon will not be."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        remaining = entry[0] - time.monotonic()
        if remaining < (self._ttl_s or TTL_S) / 2 and key not in self._reads:
            self._start_read(key)
        return entry[1] if remaining > 0 else None

    def reading(self, key: K) -> bool:
        """Whether a read of the value is in progress."""
        return key in self._reads

    async def get(self, key: K) -> V:
        """Return the value; concurrent callers share one read. Raises what reading raises."""
        if (value := self.peek(key)) is not None:
            return value
        return await self.read_again(key)

    async def read_again(self, key: K) -> V:
        """Read the value even if it is fresh; concurrent callers share one read. Raises what reading raises."""
        return await asyncio.shield(self._reads.get(key) or self._start_read(key))

    def forget(self) -> None:
        """Drop every value, and the results of reads in progress."""
        self._entries.clear()
        self._reads.clear()

    def _start_read(self, key: K) -> "asyncio.Task[V]":
        task = self._reads[key] = asyncio.ensure_future(self._refresh(key))
        task.add_done_callback(lambda done: self._finish_read(key, done))
        return task

    def _finish_read(self, key: K, task: "asyncio.Task[V]") -> None:
        if self._reads.get(key) is task:
            del self._reads[key]
            if task.cancelled() or task.exception() is not None:
                self._entries.pop(key, None)

    async def _refresh(self, key: K) -> V:
        task, until = asyncio.current_task(), time.monotonic() + (self._ttl_s or TTL_S)
        value = await to_thread.run_sync(self._read, key, limiter=self._threads)
        if len(self._entries) >= MAX_ENTRIES:
            self._entries.clear()
        if self._reads.get(key) is task:
            self._entries[key] = (until, value)
        return value
