"""The only place that looks at the client of a prediction: what it sends, and whether it still waits."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

WATCH_AFTER_S = 0.25  # a client that has left is looked for among those who wait for so long

T = TypeVar("T")


class ClientLeft(Exception):
    """Nobody waits for the answer."""


async def body_of(receive: Receive) -> bytes:
    """The whole body; raises ClientLeft."""
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return bytes(message.get("body", b""))
    chunks = [message.get("body", b"")]
    while message.get("more_body"):
        message = await receive()
        chunks.append(message.get("body", b""))
    if message["type"] == "http.disconnect":
        raise ClientLeft
    return b"".join(chunks)


async def unless_left(answer: Awaitable[T], receive: Receive) -> T:
    """The answer; raises ClientLeft, and cancels the answer, when the client leaves before."""
    me, loop = asyncio.current_task(), asyncio.get_running_loop()
    watch: asyncio.Task[None] | None = None
    left = False

    async def leave() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            continue
        left = True
        if me is not None:
            me.cancel()

    def begin() -> None:
        nonlocal watch
        watch = loop.create_task(leave())

    # a task for every request would cost as much as the rest of the gateway
    timer = loop.call_later(WATCH_AFTER_S, begin)
    try:
        return await answer
    except asyncio.CancelledError:
        if left and me is not None and not me.uncancel():
            raise ClientLeft from None
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()
