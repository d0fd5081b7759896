"""A gateway's connection to a pool: sends batches, receives replies, and knows which replicas are present."""

from collections.abc import Callable
from typing import Protocol

from contract.errors import Unavailable
from contract.inference import Batch, Reply
from contract.reports import GatewayReport

MayBeLost = Callable[[str], bool]
"""Returns whether the batch with an id, or its reply, may be lost."""


class Listener(Protocol):
    """The sender of batches on a channel."""

    def replied(self, reply: Reply) -> None:
        """Handle a reply; the same one may arrive twice."""

    def refused(self, batch_id: str, error: Unavailable) -> None:
        """Handle a batch that the broker did not accept."""

    def lost(self, may_be_lost: MayBeLost) -> None:
        """Handle the loss of a replica or of the connection, and with it of batches or replies."""

    def report(self) -> GatewayReport:
        """Return the report that the channel publishes every second, for the measurement of the pool."""


class Channel(Protocol):
    """Implemented by `RedisChannel`, and by `MemoryChannel` for tests."""

    address: str
    """The `reply_to` of every batch."""
    replicas: frozenset[str]
    """The names of the pool's replicas that were present at the last check."""

    listener: Listener
    """Receives replies and losses; set it before `open`."""

    async def open(self) -> None:
        """Connect and begin to listen; does not raise during an outage."""

    def send(self, batch: Batch) -> None:
        """Send a batch to the first free replica; raises BrokerUnavailable."""

    def withdraw(self, batch: Batch) -> None:
        """Remove a batch that no replica has taken yet; in an outage, when the broker is back."""

    def announce(self) -> None:
        """Publish the listener's report now instead of at the next second."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the broker answers."""

    async def close(self) -> None:
        """Close the connections."""
