"""The only place that bounds how many submits a gateway works on, and how many wait for their turn."""

import asyncio
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Overloaded
from services.gateway.edge.problems import answer
from services.gateway.edge.request_id import REQUESTS, named, request_id_of
from services.gateway.settings import GatewaySettings

_SUBMIT = re.compile(r"/v1/jobs(/[^/]+/retry)?/?")


class Submits:
    """The submits that a gateway has taken: those that it works on, and those in line."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.most = settings.max_submits
        self.taken = 0
        self.turn = asyncio.Semaphore(settings.submits_at_once)

    @property
    def refusal(self) -> Overloaded | None:
        """What to tell another one, if it is one too many."""
        if self.taken < self.most:
            return None
        return Overloaded(f"{self.most} submits are being worked on already; try again soon")


class SubmitLimit:
    """ASGI middleware: a few at once, some in line, and 503 at once for what would wait until its client has left.

    More at once would get no more done: Python runs one thread at a time, and SQLite writes for one client at a time.
    A submit counts from when its body is there, so that slow clients take nobody's place. It stands in front of all
    other middlewares, because what a refusal costs is taken from the submits that are let in.
    """

    def __init__(self, app: ASGIApp, submits: Submits, largest: int) -> None:
        """A body of more than `largest` bytes is refused by others, and not read to its end here."""
        self._app = app
        self._submits = submits
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not (submit := _SUBMIT.fullmatch(scope["path"])):
            await self._app(scope, receive, send)
            return
        body = await _whole(receive, self._largest)
        if (refusal := self._submits.refusal) is not None:
            route = "/v1/jobs/{job_id}/retry" if submit[1] else "/v1/jobs"
            await _refuse(refusal, route, scope, receive, send)
            return

        async def again() -> Message:
            return body.pop(0) if body else await receive()

        self._submits.taken += 1
        try:
            async with self._submits.turn:
                await self._app(scope, again, send)
        finally:
            self._submits.taken -= 1


async def _refuse(refusal: Overloaded, route: str, scope: Scope, receive: Receive, send: Send) -> None:
    request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
    with named(request_id):
        response = answer(refusal.status, refusal.code, refusal.message)
    response.headers["X-Request-ID"] = request_id
    REQUESTS.labels("POST", route, refusal.status).inc()
    await response(scope, receive, send)


async def _whole(receive: Receive, most: int) -> list[Message]:
    """The messages of a body, or the first ones of one that is too large and will be refused for that."""
    messages = [await receive()]
    size = len(messages[0].get("body", b""))
    while messages[-1].get("more_body") and size <= most:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
    return messages
