"""Expires the requests of a lane that are not answered in time, with one timer for all."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from services.gateway.serving.batching.request import Request

MANY = 4096  # requests that are remembered, most of them done, before those that are done are dropped


class Deadlines:
    """Remembers requests with the same time limit, which most have; their deadlines come in the order of admission.

    A request with another limit gets a timer of its own. Starting and cancelling one for each request would take the
    gateway a tenth of a prediction.
    """

    def __init__(self, expired: Callable[[Request], None]) -> None:
        """`expired` is called with each request that is past its deadline, after that is settled."""
        self._expired = expired
        self._limit_s = 0.0
        self._requests: deque[Request] = deque()
        self._many = MANY
        self._timer: asyncio.TimerHandle | None = None

    def add(self, request: Request, within_s: float) -> None:
        """Settle the request with DeadlineExceeded this many seconds after it was made, unless it is done by then."""
        requests = self._requests
        while requests and requests[0].done:
            requests.popleft()
        if within_s != self._limit_s:
            if requests:
                request.expire_in(within_s, self._expired)
                return
            self._restart(within_s)
        elif len(requests) >= self._many:
            requests = self._requests = deque(request for request in requests if not request.done)
            self._many = max(MANY, 2 * len(requests))
        requests.append(request)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(within_s, self._expire)

    def _restart(self, limit_s: float) -> None:
        self._limit_s = limit_s
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        """Expire what is due, then wait for the next deadline."""
        latest = time.perf_counter() - self._limit_s
        requests = self._requests
        while requests and (requests[0].done or requests[0].since <= latest):
            request = requests.popleft()
            if not request.done:
                request.expire(self._limit_s, self._expired)
        self._restart(self._limit_s)
        if self._requests:
            remaining = self._requests[0].since + self._limit_s - time.perf_counter()
            self._timer = asyncio.get_running_loop().call_later(max(0.001, remaining), self._expire)
