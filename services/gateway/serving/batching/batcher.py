"""The edge batcher: requests gather while the pool is busy, and leave as one batch; see docs/adr/0012."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol

from contract.inference import Payload, Reply, Target
from contract.reports import GatewayReport
from messaging.channel import Channel
from messaging.rate import Rate
from services.gateway.edge.request_id import current_request_id
from services.gateway.serving.batching.bounds import Bounds
from services.gateway.serving.batching.lane import Lane
from services.gateway.serving.batching.request import Answered, Request, Then

LANES = 256  # kept for models that nobody asks at the moment, because a new one costs more than a request

Leave = Callable[[], None]
"""To be called when nobody waits for the outcome any more."""


class Asker(Protocol):
    """What endpoints need of the batcher."""

    async def ask(self, target: Target, payload: Payload, within_s: float) -> Answered:
        """The answer to one question.

        Raises Overloaded at the bound, DeadlineExceeded after `within_s` seconds, BrokerUnavailable, or what the
        replica answered instead.
        """

    def post(self, target: Target, payload: Payload, within_s: float, request_id: str, then: Then) -> Leave:
        """As `ask`, for who cannot afford a future: `then` is told what `ask` returns or raises; raises Overloaded."""

    async def open(self) -> None:
        """Begin to listen for replies."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable unless the way to the pool is open."""

    async def close(self) -> None:
        """Stop listening."""


class Batcher:
    """Batch while busy: a request that finds room leaves at once, and each reply sends all that gathered meanwhile.

    The law of group commit (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984): no
    timer, so latency when idle and throughput when loaded. Predictions are pure, so a batch that may be lost with a
    replica is sent once more.
    """

    def __init__(self, channel: Channel, bounds: Bounds) -> None:
        self._channel = channel
        channel.listener = self
        self._bounds = bounds
        self._lanes: dict[Target, Lane] = {}
        self._lane_of: dict[str, Lane] = {}
        self._answered = 0
        self._rate = Rate()

    async def open(self) -> None:
        await self._channel.open()

    async def ask(self, target: Target, payload: Payload, within_s: float) -> Answered:
        outcome: asyncio.Future[Answered | Exception] = asyncio.get_running_loop().create_future()

        def then(found: Answered | Exception) -> None:
            if not outcome.done():  # its task may have been cancelled a moment ago
                outcome.set_result(found)

        leave = self.post(target, payload, within_s, current_request_id(), then)
        try:
            found = await outcome
        finally:
            leave()
        if isinstance(found, Exception):
            raise found
        return found

    def post(self, target: Target, payload: Payload, within_s: float, request_id: str, then: Then) -> Leave:
        lane = self._lanes.get(target) or self._open_lane(target)
        request = Request.of(payload, within_s, request_id, then)
        lane.admit(request, within_s)
        return partial(lane.release, request)

    def replied(self, reply: Reply) -> None:
        """Give the answers to those who wait; a reply to a batch that was answered before is dropped."""
        lane = self._lane_of.pop(reply.id, None)
        if lane is not None:
            self._answered += len(reply.answers)
            lane.land(reply)

    def lost(self) -> None:
        """Send every batch again that may be lost, if it was not before."""
        for lane in set(self._lane_of.values()):
            lane.send_again()

    def report(self) -> GatewayReport:
        """What waits now, and how many answers came a minute of late."""
        waiting = sum(lane.outstanding for lane in self._lanes.values())
        return GatewayReport(waiting=waiting, per_minute=60 * self._rate.of(self._answered))

    async def ping(self) -> None:
        await self._channel.ping()

    async def close(self) -> None:
        await self._channel.close()

    def _open_lane(self, target: Target) -> Lane:
        if len(self._lanes) >= LANES:
            self._lanes = {target: lane for target, lane in self._lanes.items() if not lane.idle}
        lane = self._lanes[target] = Lane(target, self._channel, self._bounds, self._lane_of)
        return lane
