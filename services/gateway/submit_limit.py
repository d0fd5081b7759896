"""The only place that bounds how many submits a gateway works on, and how many wait for their turn."""

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Overloaded, TooLarge
from services.gateway.problems import answer
from services.gateway.settings import GatewaySettings

_SUBMIT = re.compile(r"/v1/jobs(/[^/]+/retry)?/?")


class SubmitLimit:
    """ASGI middleware: a few at once, some in line, and 503 at once for what would wait until its client has left.

    More at once would get no more done: Python runs one thread at a time, and SQLite writes for one client at a time.
    A submit counts from when its body is there, so that slow clients take nobody's place.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._most = settings.max_submits
        self._taken = 0
        self._turn = asyncio.Semaphore(settings.submits_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not _SUBMIT.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await _whole(receive)
        except TooLarge:  # who counts the bytes says so
            return
        if self._taken >= self._most:
            detail = f"{self._most} submits are being worked on already; try again soon"
            await answer(Overloaded.status, Overloaded.code, detail)(scope, receive, send)
            return

        async def again() -> Message:
            return body.pop(0) if body else await receive()

        self._taken += 1
        try:
            async with self._turn:
                await self._app(scope, again, send)
        finally:
            self._taken -= 1


async def _whole(receive: Receive) -> list[Message]:
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages
