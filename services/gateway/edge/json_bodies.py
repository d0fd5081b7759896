"""Checks JSON bodies before the framework parses them."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import Invalid, Malformed, Overloaded, TooLarge
from services.gateway.edge.forms import media_type
from services.gateway.edge.json_text import parse_json
from services.gateway.edge.problems import problem_of

_JSON = re.compile(r"application/([^/]+\+)?json")  # those that the framework parses
_PATH = re.compile(r"/v1/(?!models/[^/]+/predict/?$).*")  # predictions have no JSON body; /v2 has its own parser


class JsonBodies:
    """ASGI middleware that refuses the JSON bodies that `parse_json` refuses; BodyLimit must be outside of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _PATH.fullmatch(scope["path"]) or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        try:
            messages = [await receive()]
            while messages[-1].get("more_body"):
                messages.append(await receive())
            if body := b"".join(message.get("body", b"") for message in messages):
                parse_json(body)
        except (TooLarge, Overloaded):
            return  # BodyLimit answers
        except (Malformed, Invalid) as error:
            await problem_of(error)(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)


def _is_json(scope: Scope) -> bool:
    return _JSON.fullmatch(media_type(Headers(scope=scope).get("content-type", ""))) is not None
