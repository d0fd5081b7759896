"""The waiting requests of one model version, and its batches in flight."""

import asyncio
import itertools
import time
from collections import deque
from dataclasses import dataclass

from contract.errors import BrokerUnavailable, Overloaded, Unavailable, error_of
from contract.inference import Batch, Failure, Reply, Target
from messaging.channel import Channel
from services.gateway.serving.batching.metrics import LaneMetrics
from services.gateway.serving.batching.request import BatchedAnswer, Flight, Request

_ids = itertools.count()


@dataclass(frozen=True)
class Bounds:
    """At most `waiting` requests per model version, `batch` requests per batch, and `flights` batches per replica."""

    waiting: int = 512
    batch: int = 32
    flights: int = 2


class Lane:
    """Admits requests, sends them in batches, and distributes the answers."""

    def __init__(self, target: Target, channel: Channel, bounds: Bounds, lane_of: "dict[str, Lane]") -> None:
        self._target = target
        self._channel = channel
        self._bounds = bounds
        self._lane_of = lane_of
        self._largest = bounds.batch if target.batched else 1
        self._waiting: deque[Request] = deque()
        self._flights: dict[str, Flight] = {}
        self._in_flight = 0  # requests
        self._scheduled = False
        self._metrics = LaneMetrics.of(target)

    @property
    def idle(self) -> bool:
        return not self._waiting and not self._flights

    @property
    def outstanding(self) -> int:
        """The number of requests without an answer."""
        sent = (request for flight in self._flights.values() for request in flight.requests)
        return sum(not request.done for request in itertools.chain(self._waiting, sent))

    def admit(self, request: Request, within_s: float) -> None:
        """Queue a request; raises Overloaded."""
        if len(self._waiting) >= self._bounds.waiting:
            self._drop_done()
        if len(self._waiting) >= self._bounds.waiting:
            self._metrics.refused.inc()
            raise Overloaded(f"{len(self._waiting)} requests already wait for this model; try again soon")
        request.expire_in(within_s)
        self._waiting.append(request)
        if not self._scheduled and len(self._flights) < self._room():
            # deferred, so that requests already received by the event loop share the batch
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._depart)

    def release(self, request: Request) -> None:
        """Abandon a request; withdraw its batch if all requests of the batch are done."""
        request.leave()
        flight = request.flight
        if flight is not None and not flight.over and all(member.done for member in flight.requests):
            self._end(flight)
            self._channel.withdraw(flight.batch)
            self._depart()

    def land(self, reply: Reply) -> None:
        """Settle the requests of a batch, and send those that have arrived since."""
        flight = self._flights[reply.id]
        self._end(flight)
        if reply.max_batch and self._target.batched:
            self._largest = min(self._bounds.batch, reply.max_batch)
        self._depart()
        self._metrics.landed(flight.requests, reply)
        now, inference_ms, size = time.perf_counter(), reply.inference_ms, len(reply.answers)
        for request, answer in zip(flight.requests, reply.answers, strict=True):
            if isinstance(answer, Failure):
                request.settle(error_of(answer.code, answer.message))
            else:
                queue_ms = max(0.0, (now - request.since) * 1e3 - inference_ms)
                request.settle(BatchedAnswer(answer, queue_ms, inference_ms, size, reply.provider))

    def send_again(self) -> None:
        """Send every batch once more; fail the requests of batches that were already sent twice."""
        for flight in list(self._flights.values()):
            if flight.again:
                self._end(flight)
                for request in flight.requests:
                    request.settle(Unavailable("two replicas were lost while they computed the answer; try again soon"))
            else:
                flight.again = True
                self._send(flight)
        self._depart()

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

    def _depart(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._flights) < self._room() and (size := self._size()) <= len(self._waiting):
            requests: list[Request] = []
            while self._waiting and len(requests) < size:
                request = self._waiting.popleft()
                if not request.done:
                    requests.append(request)
            if not requests:
                return
            batch = Batch(
                f"{self._channel.address}:{next(_ids)}",
                self._channel.address,
                self._target,
                tuple(request.question for request in requests),
            )
            flight = self._flights[batch.id] = Flight(batch, requests)
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
        self._in_flight -= len(flight.requests)
        del self._flights[flight.batch.id]
        self._lane_of.pop(flight.batch.id, None)

    def _drop_done(self) -> None:
        """Remove requests that have expired or whose client has left."""
        self._waiting = deque(request for request in self._waiting if not request.done)
