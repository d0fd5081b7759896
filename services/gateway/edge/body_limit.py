"""Limits the size of request bodies, also of those with a wrong or no Content-Length."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Malformed, TooLarge
from services.gateway.edge.forms import JSON, media_type
from services.gateway.edge.problems import answer
from services.gateway.settings import GatewaySettings

_UPLOAD = re.compile(r"/v1/(datasets|models)/[^/]+/versions/?|/v1/backbones/?")
_PREDICT = re.compile(r"/v1/models/[^/]+/predict/?|/v2/models/[^/]+(/versions/[^/]+)?/infer/?")


class BodyLimit:
    """ASGI middleware that answers 413 if the Content-Length, or the body itself, is over the limit."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit(scope["path"], media_type(headers.get("content-type", "")))
        content_length = headers.get("content-length", "0")
        if not content_length.isdecimal():
            await answer(400, Malformed.code, "Content-Length is not a number")(scope, receive, send)
            return
        if int(content_length) > limit:
            await answer(413, TooLarge.code, f"the body may have at most {limit} bytes")(scope, receive, send)
            return
        received, refused = 0, False

        async def counted() -> Message:
            nonlocal received, refused
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                refused = True
                raise TooLarge("too many bytes")
            return message

        async def unless_refused(message: Message) -> None:
            if not refused:  # else the client would get the framework's "could not parse the body"
                await send(message)

        await self._app(scope, counted, unless_refused)
        if refused:
            await answer(413, TooLarge.code, f"the body may have at most {limit} bytes")(scope, receive, send)

    def _limit(self, path: str, kind: str) -> int:
        if _UPLOAD.fullmatch(path) and kind != JSON:
            return self._settings.max_upload_bytes
        if _PREDICT.fullmatch(path):
            return self._settings.max_predict_bytes
        return self._settings.max_json_bytes
