"""What a client sends, and what becomes of it when it leaves."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message, Receive

from services.gateway.hot import client
from services.gateway.hot.client import ClientLeft, body_of, unless_left

pytestmark = pytest.mark.anyio

LEFT: Message = {"type": "http.disconnect"}


def chunk(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def says(*messages: Message) -> Receive:
    """A client that says so much, and then nothing for ever."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return receive


@pytest.fixture(autouse=True)
def watchful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WATCH_AFTER_S", 0.0)


@pytest.mark.parametrize(
    ("messages", "body"),
    [
        ([chunk(b"")], b""),
        ([chunk(b"whole")], b"whole"),
        ([{"type": "http.request"}], b""),
        ([chunk(b"in ", True), chunk(b"", True), chunk(b"parts")], b"in parts"),
        ([chunk(b"ends late", True), chunk(b"")], b"ends late"),
    ],
)
async def test_a_body_is_read_to_its_end(messages: list[Message], body: bytes) -> None:
    assert await body_of(says(*messages)) == body


@pytest.mark.parametrize("messages", [[LEFT], [chunk(b"half", True), LEFT]])
async def test_half_a_body_is_none(messages: list[Message]) -> None:
    with pytest.raises(ClientLeft):
        await body_of(says(*messages))


async def test_who_stays_gets_the_answer() -> None:
    async def answer() -> str:
        for _ in range(10):
            await asyncio.sleep(0)
        return "an answer"

    assert await unless_left(answer(), says()) == "an answer"


async def test_an_error_is_the_clients_too() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await unless_left(fail(), says())


async def test_for_who_leaves_nothing_is_computed(never: Callable[[], "asyncio.Future[None]"]) -> None:
    answer = never()

    with pytest.raises(ClientLeft):
        await unless_left(answer, says(chunk(b"more"), LEFT))

    assert answer.cancelled()
    # and the task can go on
    await asyncio.sleep(0)


async def test_a_server_that_stops_is_no_client_that_left(never: Callable[[], "asyncio.Future[None]"]) -> None:
    task = asyncio.create_task(unless_left(never(), says()))
    await asyncio.sleep(0)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nobody_is_watched_after_the_answer() -> None:
    before = asyncio.all_tasks()

    async def answer() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    await unless_left(answer(), says())
    await asyncio.sleep(0)

    assert asyncio.all_tasks() == before


@pytest.fixture
def never() -> Callable[[], "asyncio.Future[None]"]:
    """Makes answers that never come."""
    return lambda: asyncio.get_running_loop().create_future()
