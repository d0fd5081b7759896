"""The requests of a lane that wait for their batch."""

from collections import deque
from collections.abc import Callable, Iterator

from contract.errors import Overloaded, TooLarge
from services.gateway.edge.byte_budget import FREE, ByteBudget
from services.gateway.serving.batching.request import Request

OVERHEAD = 512  # bytes of a request in a batch, besides its image or tensors


class Waiting:
    """A queue of at most `most` requests and `most_bytes` bytes; each request has at most `largest`."""

    def __init__(self, most: int, most_bytes: int, largest: int) -> None:
        self._requests: deque[Request] = deque()
        self._most = most
        self._budget = ByteBudget(most_bytes)
        self._largest = min(largest, self._budget.largest) - OVERHEAD
        self._any_done = False  # of the requests that wait; otherwise a refusal need not look at each of them

    def __len__(self) -> int:
        return len(self._requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(self._requests)

    def add(self, request: Request) -> None:
        """Append a request; raises Overloaded, and TooLarge if there can never be room for it."""
        if len(self._requests) >= self._most and self._any_done:
            self._any_done = False
            self._requests = deque(request for request in self._requests if not request.done)
        if len(self._requests) >= self._most:
            raise Overloaded(f"{len(self._requests)} requests already wait for this model; try again soon")
        if request.size > FREE:
            if request.size > self._largest:
                raise TooLarge(f"one prediction may have at most {self._largest} bytes")
            if not self._budget.take(request.size):
                raise Overloaded("too many bytes already wait for this model; try again soon")
            request.counted = True
        self._requests.append(request)

    def free(self, request: Request) -> None:
        """Stop counting the bytes of a waiting request that is done: it has expired, or its client has left."""
        self._any_done = True
        self._uncount(request)

    def _uncount(self, request: Request) -> None:
        if request.counted:
            request.counted = False
            self._budget.give(request.size)

    def next(self, most: int, most_bytes: int, may_leave: Callable[[int], bool]) -> tuple[list[Request], int]:
        """Take the requests of the next batch; return them and their bytes.

        There are none if nothing waits, or if `may_leave` says of their bytes that there is no room for them. Only a
        batch of one request may have more than `most_bytes`.
        """
        requests: list[Request] = []
        size = 0
        while self._requests and len(requests) < most:
            request = self._requests[0]
            if not request.done:
                if requests and size + request.size > most_bytes:
                    break
                requests.append(request)
                size += request.size + OVERHEAD
            self._requests.popleft()
        if requests and not may_leave(size):
            self._requests.extendleft(reversed(requests))
            return [], 0
        for request in requests:
            self._uncount(request)
        return requests, size
