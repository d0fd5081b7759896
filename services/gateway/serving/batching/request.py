"""One request on its way through the batcher."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contract.errors import DeadlineExceeded
from contract.inference import Outputs, Payload, Question, Scores

if TYPE_CHECKING:
    from services.gateway.serving.batching.flight import Flight


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one question, with the milliseconds it waited and was computed, and who shared its batch."""

    answer: Scores | Outputs
    queue_ms: float
    inference_ms: float
    batch_size: int
    provider: str


Then = Callable[[Answered | Exception], None]
"""What is told the outcome, once; it must not raise."""


class Request:
    """A question and who is told the outcome; done when it is answered, too late, or nobody waits any more.

    There is a callback and no future, since a future costs a turn of the event loop for every request.
    """

    __slots__ = ("_then", "_timer", "done", "flight", "question", "since")

    def __init__(self, question: Question, then: Then) -> None:
        self.question = question
        self.since = time.perf_counter()
        self.done = False
        self.flight: Flight | None = None
        self._then = then
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def of(cls, payload: Payload, within_s: float, request_id: str, then: Then) -> Request:
        """A question that fails with DeadlineExceeded after `within_s` seconds from the moment it is admitted."""
        return cls(Question(payload, time.time() + within_s, request_id), then)

    def expire_in(self, seconds: float) -> None:
        """Fail with DeadlineExceeded after so long."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    def settle(self, outcome: Answered | Exception) -> None:
        """Tell the outcome to who waits for it, if anybody does."""
        if not self.done:
            self.leave()
            self._then(outcome)

    def leave(self) -> None:
        """Nobody waits for the answer any more."""
        self.done = True
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self, seconds: float) -> None:
        self.settle(DeadlineExceeded(f"no replica answered within {seconds:g} s; try again"))
