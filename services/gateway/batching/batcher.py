"""The edge batcher: requests gather while the pool is busy, and leave as one batch; see docs/adr/0012."""

import time
from dataclasses import dataclass
from typing import Protocol

from contract.inference import Failure, Outputs, Payload, Reply, Scores, Target
from runtime.channel import Channel
from runtime.rate import Rate
from runtime.reports import GatewayReport
from services.gateway.batching.bounds import Bounds
from services.gateway.batching.lane import Lane
from services.gateway.batching.request import Request
from services.gateway.request_id import current_request_id


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one question, with the milliseconds it waited and was computed, and who shared its batch."""

    answer: Scores | Outputs
    queue_ms: float
    inference_ms: float
    batch_size: int
    provider: str


class Asker(Protocol):
    """What endpoints need of the batcher."""

    async def ask(self, target: Target, payload: Payload, within_s: float) -> Answered:
        """The answer to one question.

        Raises Overloaded at the bound, DeadlineExceeded after `within_s` seconds, BrokerUnavailable, or what the
        replica answered instead.
        """

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
        lane = self._lanes.get(target)
        if lane is None:
            lane = self._lanes[target] = Lane(target, self._channel, self._bounds, self._lane_of)
        request = Request(payload, time.time() + within_s, current_request_id())
        lane.admit(request, within_s)
        try:
            reply, index = await request.reply
        finally:
            request.left()
            lane.release(request)
            if lane.idle:
                self._lanes.pop(target, None)
        answer = reply.answers[index]
        waited = (time.perf_counter() - request.since) * 1e3 - reply.inference_ms
        assert not isinstance(answer, Failure)  # noqa: S101  the lane has raised it
        return Answered(answer, max(0.0, waited), reply.inference_ms, len(reply.answers), reply.provider)

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
