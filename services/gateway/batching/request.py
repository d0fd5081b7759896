"""One request on its way through the batcher."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from contract.errors import DeadlineExceeded
from contract.inference import Payload, Question, Reply

if TYPE_CHECKING:
    from services.gateway.batching.flight import Flight


class Request:
    """A question and the future of its answer; done when it is answered, too late, or nobody waits any more."""

    __slots__ = ("_timer", "flight", "question", "reply", "since")

    def __init__(self, payload: Payload, deadline: float, request_id: str) -> None:
        self.question = Question(payload, deadline, request_id)
        self.since = time.perf_counter()
        self.reply: asyncio.Future[tuple[Reply, int]] = asyncio.get_running_loop().create_future()
        self.flight: Flight | None = None
        self._timer: asyncio.TimerHandle | None = None

    def expire_in(self, seconds: float) -> None:
        """Fail with DeadlineExceeded after so long."""
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire, seconds)

    def fail(self, error: Exception) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)

    def left(self) -> None:
        """Nobody waits for the answer any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.reply.cancel()

    def _expire(self, seconds: float) -> None:
        self.fail(DeadlineExceeded(f"no replica answered within {seconds:g} s; try again"))
