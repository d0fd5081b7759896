"""One timer expires the requests of a lane."""

import asyncio
import gc
import time
import weakref

import pytest

from contract.errors import DeadlineExceeded
from contract.inference import EncodedImage
from services.gateway.serving.batching import deadlines as module
from services.gateway.serving.batching.deadlines import Deadlines
from services.gateway.serving.batching.request import BatchedAnswer, Request

pytestmark = pytest.mark.anyio


class Caller:
    """The sender of one request, with its outcome."""

    def __init__(self, deadlines: Deadlines, within_s: float) -> None:
        self.outcome: BatchedAnswer | Exception | None = None
        self.expired_after: float | None = None
        self.request = Request.of(EncodedImage(b"an image"), within_s, "", self._then)
        deadlines.add(self.request, within_s)

    def _then(self, outcome: BatchedAnswer | Exception) -> None:
        self.outcome = outcome
        self.expired_after = time.perf_counter() - self.request.since


async def test_requests_expire_at_their_deadlines_in_order() -> None:
    expired: list[Request] = []
    deadlines = Deadlines(expired.append)
    callers = []
    for _ in range(3):
        callers.append(Caller(deadlines, 0.05))
        await asyncio.sleep(0.02)

    await asyncio.sleep(0.2)

    assert [caller.request for caller in callers] == expired
    assert all(isinstance(caller.outcome, DeadlineExceeded) for caller in callers)
    assert all(caller.expired_after is not None and caller.expired_after >= 0.049 for caller in callers)


async def test_a_request_with_another_limit_expires_at_its_own() -> None:
    expired: list[Request] = []
    deadlines = Deadlines(expired.append)
    long, short = Caller(deadlines, 30.0), Caller(deadlines, 0.01)

    await asyncio.sleep(0.1)

    assert expired == [short.request]
    assert long.outcome is None


async def test_a_shorter_limit_counts_once_no_other_request_waits() -> None:
    expired: list[Request] = []
    deadlines = Deadlines(expired.append)
    Caller(deadlines, 30.0).request.leave()
    short = Caller(deadlines, 0.01)

    await asyncio.sleep(0.1)

    assert expired == [short.request]


async def test_a_request_that_is_made_when_another_expires_expires_too() -> None:
    expired: list[Request] = []
    callers: list[Caller] = []

    def again(request: Request) -> None:
        expired.append(request)
        if len(expired) == 1:
            callers.append(Caller(deadlines, 0.05))

    deadlines = Deadlines(again)
    callers += [Caller(deadlines, 0.05), Caller(deadlines, 0.05)]

    await asyncio.sleep(0.3)

    assert len(expired) == 3


async def test_requests_that_are_done_do_not_expire_and_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 4)
    expired: list[Request] = []
    deadlines = Deadlines(expired.append)
    deadlines._many = 4
    stuck = Caller(deadlines, 0.1)
    for _ in range(50):
        Caller(deadlines, 0.1).request.leave()

    assert len(deadlines._requests) <= 8
    await asyncio.sleep(0.3)
    assert expired == [stuck.request]


async def test_the_sender_of_a_request_that_is_done_is_freed_without_a_garbage_collection() -> None:
    deadlines = Deadlines(lambda request: None)
    waiting = Caller(deadlines, 30.0)
    gc.disable()
    try:
        caller = Caller(deadlines, 30.0)
        freed = weakref.ref(caller)
        caller.request.settle(ValueError())
        del caller
        assert freed() is None
    finally:
        gc.enable()
    assert waiting.outcome is None
