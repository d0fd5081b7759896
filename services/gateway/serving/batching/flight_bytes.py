"""The bytes of the batches that a gateway has sent to Redis and that are not answered."""

import asyncio
from typing import Protocol

from services.gateway.edge.byte_budget import ByteBudget


class Sender(Protocol):
    """A lane that sends batches."""

    def depart(self) -> None:
        """Send the batches for which there is room."""


class FlightBytes:
    """Bounds the bytes of the batches of all lanes; a lane without room departs when bytes are given back.

    Lanes that wait for room for a large batch get it in the order in which they asked.
    """

    def __init__(self, limit: int) -> None:
        self._budget = ByteBudget(limit)
        self._waiting: dict[Sender, None] = {}  # an ordered set
        self._scheduled = False
        self.batch = limit // 8
        """The largest batch of several requests."""
        self.largest = self._budget.largest
        """The largest batch of one request."""

    def take(self, sender: Sender, size: int) -> bool:
        """Hold the bytes of a batch; False if there is no room, and then the sender departs when there may be."""
        first = next(iter(self._waiting), sender)
        if (first is sender or self._budget.is_small(size)) and self._budget.take(size):
            self._waiting.pop(sender, None)
            return True
        self._waiting[sender] = None
        return False

    def give(self, size: int) -> None:
        """Give back the bytes of a batch that is not in Redis any more."""
        self._budget.give(size)
        if self._waiting and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._scheduled = False
        senders, self._waiting = self._waiting, {}  # each asks again if it still needs to
        for sender in senders:
            sender.depart()
