"""Limits the job submissions that a gateway processes at once, and those that wait."""

import asyncio
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Overloaded
from services.gateway.edge.body_limit import HOLD
from services.gateway.edge.byte_budget import BodyBudgets, Hold, holding
from services.gateway.edge.problems import answer
from services.gateway.edge.request_id import named, record, request_id_of
from services.gateway.settings import GatewaySettings

_SUBMIT = re.compile(r"/v1/jobs(/[^/]+/retry)?/?")


class Submits:
    """The submits in progress; `taken` counts those being processed and those that wait."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.limit = settings.max_submits
        self.taken = 0
        self.semaphore = asyncio.Semaphore(settings.submits_at_once)

    @property
    def refusal(self) -> Overloaded | None:
        """The error for one more submit; None if there is room for it."""
        if self.taken < self.limit:
            return None
        return Overloaded(f"{self.limit} job submissions are in progress already; try again soon")


class SubmitLimit:
    """ASGI middleware that runs a few submits at once, lets some wait, and answers 503 to the others immediately.

    More concurrency would not get more done: Python runs one thread at a time, and SQLite has one writer at a time.
    A submit counts once its body has arrived, so slow clients take no place. The middleware is the outermost, so that
    refusals are cheap and leave time for the accepted submits.
    """

    def __init__(self, app: ASGIApp, submits: Submits, max_body: int, budgets: BodyBudgets) -> None:
        """A body of more than `max_body` bytes is passed on unread; BodyLimit refuses it."""
        self._app = app
        self._submits = submits
        self._max_body = max_body
        self._budgets = budgets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not (submit := _SUBMIT.fullmatch(scope["path"])):
            await self._app(scope, receive, send)
            return
        since = time.perf_counter()
        with holding(self._budgets.documents) as hold:
            scope[HOLD] = hold
            try:
                messages = await _read_body(receive, self._max_body, hold)
                if (refusal := self._submits.refusal) is not None:
                    raise refusal
            except Overloaded as error:
                await _refuse(error, scope, receive, send)
                route = "/v1/jobs/{job_id}/retry" if submit[1] else "/v1/jobs"
                record("POST", route, error.status, time.perf_counter() - since)
            else:
                await self._process(messages, scope, receive, send)

    async def _process(self, messages: list[Message], scope: Scope, receive: Receive, send: Send) -> None:

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        self._submits.taken += 1
        try:
            async with self._submits.semaphore:
                await self._app(scope, replay, send)
        finally:
            self._submits.taken -= 1


async def _refuse(refusal: Overloaded, scope: Scope, receive: Receive, send: Send) -> None:
    request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id"))
    with named(request_id):
        response = answer(refusal.status, refusal.code, refusal.message)
    response.headers["X-Request-ID"] = request_id
    await response(scope, receive, send)


async def _read_body(receive: Receive, max_body: int, hold: Hold) -> list[Message]:
    """Return the messages of a body; of one that is too large, only the first ones. Raises Overloaded."""
    messages = [await receive()]
    size = len(messages[0].get("body", b""))
    while messages[-1].get("more_body") and size <= max_body:
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        hold.grow_to(size)
    return messages
