"""The batcher: collects requests while the pool is busy, and sends them as one batch; see docs/adr/0012."""

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Protocol

from contract import __version__
from contract.errors import DeadlineExceeded, Unavailable
from contract.inference import Artifact, Batch, Payload, Reply, Target
from contract.reports import GatewayReport
from messaging.channel import Channel, MayBeLost
from messaging.rate import Rate
from services.gateway.edge.request_id import current_request_id
from services.gateway.serving.batching.flight_bytes import FlightBytes
from services.gateway.serving.batching.lane import Bounds, Lane
from services.gateway.serving.batching.metrics import show_lanes
from services.gateway.serving.batching.request import BatchedAnswer, Request, Then

NO_MODEL = Target("none", 1, Artifact("", "", 0, ""))  # of batches without questions
MAX_LANES = 256  # idle lanes are kept up to here, because creating one costs more than a request

Leave = Callable[[], None]
"""Call it when the outcome is no longer needed."""


class InferenceClient(Protocol):
    """The interface of the batcher that endpoints use."""

    async def ask(self, target: Target, payload: Payload, within_s: float) -> BatchedAnswer:
        """Return the answer to one request.

        Raises Overloaded if too many wait, DeadlineExceeded after `within_s` seconds, BrokerUnavailable, or the
        error that the replica sent.
        """

    def post(self, target: Target, payload: Payload, within_s: float, request_id: str, then: Then) -> Leave:
        """Callback form of `ask`, without a Future: `then` gets what `ask` returns or raises. Raises Overloaded."""

    async def open(self) -> None:
        """Start listening for replies."""

    async def ping(self) -> None:
        """Raise BrokerUnavailable if the broker does not answer."""

    async def ping_replica(self, within_s: float) -> float:
        """Return the seconds until a replica has answered an empty batch, behind those that wait already.

        Raises DeadlineExceeded after `within_s` seconds, and BrokerUnavailable.
        """

    async def close(self) -> None:
        """Stop listening."""


class Batcher:
    """Batches while the pool is busy: a request leaves at once if there is room, else with the next reply.

    This is group commit (DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984): no timer,
    so latency is low when idle and throughput is high under load. Predictions are pure, so a batch that may be lost
    with its replica is sent once more.
    """

    def __init__(self, channel: Channel, bounds: Bounds) -> None:
        self._channel = channel
        channel.listener = self
        self._bounds = bounds
        self._flight_bytes = FlightBytes(bounds.flight_bytes)
        self._lanes: dict[Target, Lane] = {}
        self._lane_of: dict[str, Lane] = {}
        self._pings: dict[str, asyncio.Future[None]] = {}
        self._answered = 0
        self._rate = Rate()

    async def open(self) -> None:
        await self._channel.open()

    async def ask(self, target: Target, payload: Payload, within_s: float) -> BatchedAnswer:
        future: asyncio.Future[BatchedAnswer | Exception] = asyncio.get_running_loop().create_future()

        def then(outcome: BatchedAnswer | Exception) -> None:
            if not future.done():  # the task may just have been cancelled
                future.set_result(outcome)

        leave = self.post(target, payload, within_s, current_request_id(), then)
        try:
            outcome = await future
        finally:
            leave()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def post(self, target: Target, payload: Payload, within_s: float, request_id: str, then: Then) -> Leave:
        lane = self._lanes.get(target) or self._open_lane(target)
        request = Request.of(payload, within_s, request_id, then)
        lane.admit(request, within_s)
        return partial(lane.release, request)

    def replied(self, reply: Reply) -> None:
        """Pass the answers to their requests; drop a second reply to the same batch."""
        lane = self._lane_of.pop(reply.id, None)
        if lane is not None:
            self._answered += len(reply.answers)
            lane.land(reply)
        elif (ping := self._pings.get(reply.id)) and not ping.done():
            ping.set_result(None)

    def refused(self, batch_id: str, error: Unavailable) -> None:
        """Fail the requests of a batch that the broker did not accept."""
        lane = self._lane_of.get(batch_id)
        if lane is not None:
            lane.fail(batch_id, error)
        elif (ping := self._pings.get(batch_id)) and not ping.done():
            ping.set_exception(error)

    def lost(self, may_be_lost: MayBeLost = lambda batch_id: True) -> None:
        """Resend every batch that may be lost; fail batches that were sent twice already."""
        for lane in set(self._lane_of.values()):
            lane.send_again(may_be_lost)

    def show_load(self) -> None:
        """Set the metrics of the lanes; may be called from another thread."""
        show_lanes((target, *lane.load) for target, lane in list(self._lanes.items()))

    def report(self) -> GatewayReport:
        """Return how many requests wait now, and the recent answers per minute."""
        waiting = sum(lane.outstanding for lane in self._lanes.values())
        return GatewayReport(waiting, 60 * self._rate.of(self._answered), __version__)

    async def ping(self) -> None:
        await self._channel.ping()

    async def ping_replica(self, within_s: float) -> float:
        batch = Batch(uuid.uuid4().hex, self._channel.address, NO_MODEL, ())
        future = self._pings[batch.id] = asyncio.get_running_loop().create_future()
        started = time.perf_counter()  # the loop's clock is exact to a millisecond
        try:
            self._channel.send(batch)
            async with asyncio.timeout(within_s):
                await future
        except TimeoutError:
            self._channel.withdraw(batch)
            raise DeadlineExceeded(f"no replica answered within {within_s:g} s") from None
        finally:
            self._pings.pop(batch.id, None)
        return time.perf_counter() - started

    async def close(self) -> None:
        await self._channel.close()

    def _open_lane(self, target: Target) -> Lane:
        if len(self._lanes) >= MAX_LANES:
            self._lanes = {target: lane for target, lane in self._lanes.items() if not lane.idle}
        lane = self._lanes[target] = Lane(target, self._channel, self._bounds, self._lane_of, self._flight_bytes)
        return lane
