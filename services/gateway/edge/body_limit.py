"""Limits the size of each request body, with or without a Content-Length, and of all bodies together."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Malformed, TidepoolError, TooLarge
from services.gateway.edge.byte_budget import BodyBudgets, ByteBudget, Hold
from services.gateway.edge.forms import JSON, media_type
from services.gateway.edge.problems import answer
from services.gateway.settings import GatewaySettings
from services.storage.catalog.upload_parts import part_size

HOLD = "tidepool.hold"  # the key of a request's Hold in its scope

_UPLOAD = re.compile(r"/v1/(datasets|models)/[^/]+/versions/?|/v1/backbones/?")
_PART = re.compile(r"/v1/uploads/[^/]+/parts/[^/]+/?")
_PREDICT = re.compile(r"/try/[^/]+|/v1/models/[^/]+/predict/?|/v2/models/[^/]+(/versions/[^/]+)?/infer/?")


class BodyLimit:
    """ASGI middleware that answers 413 to a body over the limit, and 503 to one for which the budget has no room.

    Before a body is read, its Content-Length counts. The budget is asked when the application begins to read, which is
    after it has checked the key if the body may be large.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings, budgets: BodyBudgets) -> None:
        self._app = app
        self._settings = settings
        self._budgets = budgets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit, budget = self._bounds(scope["path"], media_type(headers.get("content-type", "")))
        content_length = headers.get("content-length", "0")
        if not content_length.isdecimal():
            await answer(400, Malformed.code, "Content-Length is not a number")(scope, receive, send)
            return
        if int(content_length) > limit:
            await answer(413, TooLarge.code, f"the body may have at most {limit} bytes")(scope, receive, send)
            return
        # documents are read before the key is checked, so that what is only announced takes no room
        expected = 0 if budget is self._budgets.documents else int(content_length)
        hold = scope.setdefault(HOLD, Hold(budget))
        received, refusal = 0, None

        async def counted() -> Message:
            nonlocal received, refusal
            try:
                hold.grow_to(expected)
                message = await receive()
                received += len(message.get("body", b""))
                if received > limit:
                    raise TooLarge(f"the body may have at most {limit} bytes")
                hold.grow_to(received)
            except TidepoolError as error:
                refusal = error
                raise
            return message

        async def unless_refused(message: Message) -> None:
            if refusal is None:  # else the client would get the framework's "could not parse the body"
                await send(message)

        try:
            await self._app(scope, counted, unless_refused)
        finally:
            hold.release()
        if refusal is not None:
            await answer(refusal.status, refusal.code, refusal.message)(scope, receive, send)

    def _bounds(self, path: str, kind: str) -> tuple[int, ByteBudget]:
        settings, budgets = self._settings, self._budgets
        if _UPLOAD.fullmatch(path) and kind != JSON:
            return min(settings.max_upload_bytes, budgets.uploads.largest), budgets.uploads
        if _PART.fullmatch(path):
            return min(part_size(settings.max_upload_bytes), budgets.predictions.largest), budgets.predictions
        if _PREDICT.fullmatch(path):
            return min(settings.max_predict_bytes, budgets.predictions.largest), budgets.predictions
        return settings.max_json_bytes, budgets.documents
