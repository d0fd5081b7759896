"""A request in the batcher, and the batch that carries it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from contract.errors import DeadlineExceeded
from contract.inference import Batch, EncodedImage, Outputs, Payload, Question, Scores, Target, Tensors
from contract.tracing import current
from services.gateway.serving.batching.traced import Traced


class BatchedAnswer(Struct, frozen=True):  # a frozen dataclass takes eight times as long to create
    """One request's answer, with its milliseconds in the queue and in the model, and the size of its batch."""

    answer: Scores | Outputs
    queue_ms: float
    inference_ms: float
    batch_size: int
    provider: str


Then = Callable[[BatchedAnswer | Exception], None]
"""Receives the outcome, once; it must not raise."""


def _ignore(_: BatchedAnswer | Exception) -> None:
    return None


_LEFT = Question(Tensors(()), 0.0, "")  # replaces the question of a request that is done, to free its memory


class Request:
    """A question and the callback for its outcome; done once it is answered, expired or abandoned.

    `size` are the bytes of its image or tensors; `counted`, whether they count as waiting; `for_review`, whether it
    asks for a copy for the review queue, so no client waits for it. It uses a callback because a Future costs a turn
    of the event loop per request. `traced` has its spans, if the code that makes it is traced.
    """

    __slots__ = ("_then", "_timer", "counted", "done", "flight", "for_review", "question", "since", "size", "traced")

    def __init__(self, question: Question, then: Then) -> None:
        payload = question.payload
        self.question = question
        if isinstance(payload, EncodedImage):
            self.size = len(payload.file)
            self.for_review = payload.copy
        else:
            self.for_review = False
            self.size = sum([len(tensor.data) for tensor in payload.inputs])
        self.since = time.perf_counter()
        self.done = False
        self.flight: Flight | None = None
        self.counted = False
        self._then = then
        self._timer: asyncio.TimerHandle | None = None
        span = current()
        self.traced = None if span is None else Traced(span)

    @classmethod
    def of(cls, payload: Payload, within_s: float, request_id: str, then: Then) -> Request:
        """Create a request that expires `within_s` seconds after it is admitted."""
        return cls(Question(payload, time.time() + within_s, request_id), then)

    def expire_in(self, seconds: float, expired: Callable[[Request], None]) -> None:
        """Settle with DeadlineExceeded after this time, then call `expired`."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self.expire, seconds, expired)

    def depart(self, batch_id: str, size: int, target: Target) -> None:
        """Continue the trace of the request, if it has one, in the batch that carries it."""
        if self.traced is not None:
            self.question = replace(self.question, traceparent=self.traced.depart(batch_id, size, target))

    def settle(self, outcome: BatchedAnswer | Exception) -> None:
        """Call back with the outcome, unless the request is done."""
        if not self.done:
            if self.traced is not None:
                self.traced.end(outcome)
            then = self._then
            self.leave()
            then(outcome)

    def leave(self) -> None:
        """Abandon the request: its callback will not be called."""
        self.done = True
        self.question = _LEFT
        self._then = _ignore  # it refers to the caller, which refers to this request
        if self.traced is not None:
            self.traced.end()
        if self._timer is not None:
            self._timer.cancel()

    def expire(self, seconds: float, expired: Callable[[Request], None]) -> None:
        """Settle with DeadlineExceeded, then call `expired`."""
        self.settle(DeadlineExceeded(f"no replica answered within {seconds:g} s; try again"))
        expired(self)


class Flight:
    """A batch that was sent, and its bytes; `again`: it was sent twice; `over`: no request waits for its reply."""

    __slots__ = ("again", "batch", "over", "requests", "size")

    def __init__(self, batch: Batch, requests: list[Request], size: int) -> None:
        self.batch = batch
        self.size = size
        self.requests = requests
        self.again = False
        self.over = False
