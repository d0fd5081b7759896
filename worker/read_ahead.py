"""Reads rows of a plan in order, some ahead in threads, because a request to an object store takes milliseconds."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from media.archives.limits import Limits

_AHEAD = 16  # rows


class ReadAhead:
    """Rows whose contents `fetch(row number)` returns; a `Readable`."""

    def __init__(self, rows: pa.Table, fetch: Callable[[int], bytes], limits: Limits) -> None:
        self.rows = rows
        self.limits = limits
        self._fetch = fetch
        self._pool = ThreadPoolExecutor(_AHEAD)
        self._reading: deque[Future[bytes]] = deque()
        self._next = 0

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, _number: int) -> bytes:
        """Return the contents of the next row; raises what `fetch` raises."""
        while self._next < len(self) and len(self._reading) < _AHEAD:
            self._reading.append(self._pool.submit(self._fetch, self._next))
            self._next += 1
        return self._reading.popleft().result()
