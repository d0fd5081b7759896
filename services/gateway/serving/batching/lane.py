"""The waiting requests of one model version, and its batches in flight."""

import asyncio
import itertools
import time
from dataclasses import dataclass
from functools import partial

from contract.errors import BrokerUnavailable, Overloaded, Unavailable, error_of
from contract.inference import Batch, Failure, Reply, Target
from messaging.channel import Channel, MayBeLost
from messaging.dropped import drop
from messaging.tracing import tracing
from services.gateway.serving.batching.deadlines import Deadlines
from services.gateway.serving.batching.flight_bytes import FlightBytes
from services.gateway.serving.batching.metrics import LaneMetrics
from services.gateway.serving.batching.request import BatchedAnswer, Flight, Request
from services.gateway.serving.batching.waiting import Waiting

_ids = itertools.count()


@dataclass(frozen=True)
class Bounds:
    """At most `waiting` requests per model version, `batch` requests per batch, and `flights` batches per replica.

    Requests that wait have at most `waiting_bytes` per model version, and all batches in flight `flight_bytes`.
    """

    waiting: int = 256
    batch: int = 32
    flights: int = 2
    waiting_bytes: int = 256 << 20
    flight_bytes: int = 128 << 20


class Lane:
    """Admits requests, sends them in batches, and distributes the answers."""

    def __init__(
        self,
        target: Target,
        channel: Channel,
        bounds: Bounds,
        lane_of: "dict[str, Lane]",
        flight_bytes: FlightBytes,
    ) -> None:
        self._target = target
        self._channel = channel
        self._bounds = bounds
        self._lane_of = lane_of
        self._flight_bytes = flight_bytes
        self._largest = bounds.batch if target.batched else 1
        self._waiting = Waiting(bounds.waiting, bounds.waiting_bytes, flight_bytes.largest)
        self._flights: dict[str, Flight] = {}
        self._deadlines = Deadlines(self.release)
        self._in_flight = 0  # requests
        self._scheduled = False
        self._metrics = LaneMetrics.of(target)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._flights

    @property
    def load(self) -> tuple[int, int]:
        """The number of waiting requests, and of those in flight; some of either may be done."""
        return len(self._waiting), self._in_flight

    @property
    def outstanding(self) -> int:
        """The number of requests without an answer."""
        sent = (request for flight in self._flights.values() for request in flight.requests)
        return sum(not request.done for request in itertools.chain(self._waiting, sent))

    def admit(self, request: Request, within_s: float) -> None:
        """Queue a request; raises Overloaded, and TooLarge if there can never be room for it."""
        try:
            self._waiting.add(request)
        except Overloaded:
            if not request.for_review:
                self._metrics.refused.inc()
            raise
        self._deadlines.add(request, within_s)
        if not self._scheduled and len(self._flights) < self._room():
            # deferred, so that requests already received by the event loop share the batch
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.depart)

    def release(self, request: Request) -> None:
        """Abandon a request; withdraw its batch if all requests of the batch are done."""
        request.leave()
        flight = request.flight
        if flight is None:
            self._waiting.free(request)
        elif not flight.over and all(member.done for member in flight.requests):
            self._end(flight)
            self._channel.withdraw(flight.batch)
            self.depart()

    def land(self, reply: Reply) -> None:
        """Settle the requests of a batch, and send those that have arrived since."""
        flight = self._flights[reply.id]
        if len(reply.answers) != len(flight.requests):
            drop("reply", len(reply.answers), ValueError())
            self.fail(reply.id, Unavailable("a replica sent a damaged answer; try again soon"))
            return
        self._end(flight)
        if reply.max_batch and self._target.batched:
            self._largest = min(self._bounds.batch, reply.max_batch)
        self.depart()
        self._metrics.landed(flight.requests, reply)
        now, inference_ms, size = time.perf_counter(), reply.inference_ms, len(reply.answers)
        for request, answer in zip(flight.requests, reply.answers, strict=True):
            if isinstance(answer, Failure):
                request.settle(error_of(answer.code, answer.message))
            else:
                queue_ms = max(0.0, (now - request.since) * 1e3 - inference_ms)
                request.settle(BatchedAnswer(answer, queue_ms, inference_ms, size, reply.provider))

    def fail(self, batch_id: str, error: Unavailable) -> None:
        """Settle the requests of a batch that the broker refused, and send others."""
        flight = self._flights[batch_id]
        self._end(flight)
        self.depart()
        for request in flight.requests:
            request.settle(error)

    def send_again(self, may_be_lost: MayBeLost) -> None:
        """Send every batch that may be lost once more; fail the requests of batches that were already sent twice."""
        for flight in list(self._flights.values()):
            if not may_be_lost(flight.batch.id):
                continue
            if flight.again:
                self._end(flight)
                for request in flight.requests:
                    request.settle(Unavailable("two replicas were lost while they computed the answer; try again soon"))
            else:
                flight.again = True
                self._channel.withdraw(flight.batch)  # if it still waits, it must not be there twice
                self._send(flight)
        self.depart()

    def _room(self) -> int:
        return self._bounds.flights * self._replicas()

    def _replicas(self) -> int:
        return max(1, len(self._channel.replicas))

    def _size(self) -> int:
        """Return the size of the next batch; fewer requests wait for more to arrive.

        Waiting requests are divided among the idle replicas. If all replicas are busy, a batch has an equal share of
        all requests, waiting and in flight: a smaller one costs as much and has to wait for the others.
        """
        idle = self._replicas() - len(self._flights)
        if idle > 0:
            return min(self._largest, -(-len(self._waiting) // idle))
        return min(self._largest, -(-(len(self._waiting) + self._in_flight) // self._room()))

    def depart(self) -> None:
        """Send batches while there is room for them."""
        self._scheduled = False
        while self._waiting and len(self._flights) < self._room() and (most := self._size()) <= len(self._waiting):
            requests, size = self._waiting.next(most, self._flight_bytes.batch, partial(self._flight_bytes.take, self))
            if not requests:
                return
            batch_id = f"{self._channel.address}:{next(_ids)}"
            if tracing() is not None:
                for request in requests:
                    request.depart(batch_id, len(requests), self._target)
            batch = Batch(
                batch_id,
                self._channel.address,
                self._target,
                tuple(request.question for request in requests),
            )
            flight = self._flights[batch.id] = Flight(batch, requests, size)
            self._lane_of[batch.id] = self
            self._in_flight += len(requests)
            for request in requests:
                request.flight = flight
            self._send(flight)

    def _send(self, flight: Flight) -> None:
        try:
            self._channel.send(flight.batch)
        except BrokerUnavailable as error:
            self._end(flight)
            for request in flight.requests:
                request.settle(error)
        else:
            if not self._channel.replicas:
                self._channel.announce()  # so that the autoscaler starts one soon

    def _end(self, flight: Flight) -> None:
        flight.over = True
        for request in flight.requests:
            request.flight = None  # or their memory would wait for a garbage collection
        self._in_flight -= len(flight.requests)
        self._flight_bytes.give(flight.size)
        del self._flights[flight.batch.id]
        self._lane_of.pop(flight.batch.id, None)
