"""Errors in the protocol's format: {"error": message}."""

import json
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PREFIX = "/v2"
KEPT = {"retry-after", "tidepool-quota", "www-authenticate"}  # headers of a problem
_PROBLEM = "application/problem+json"


def status_of(status: int) -> int:
    """Convert a status of /v1 to the protocol's: 422 becomes 400."""
    return HTTPStatus.BAD_REQUEST if status == HTTPStatus.UNPROCESSABLE_ENTITY else status


def refusal(message: str) -> bytes:
    """Return the body of a refusal."""
    return json.dumps({"error": message}).encode()


def refusal_of(problem: JSONResponse) -> Response:
    """Convert a problem to a refusal."""
    body = refusal(json.loads(bytes(problem.body))["detail"])
    kept = {name: value for name, value in problem.headers.items() if name in KEPT}
    return Response(body, status_of(problem.status_code), kept, "application/json")


class Refusals:
    """ASGI middleware that converts every problem under /v2 to a refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{PREFIX}/"):
            await self._app(scope, receive, send)
            return
        held: Message | None = None
        body = b""

        async def translated(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start":
                if MutableHeaders(scope=message).get("content-type") == _PROBLEM:
                    held = message
                    return
            elif held is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                body = refusal(json.loads(body)["detail"])
                headers = MutableHeaders(scope=held)
                headers["content-type"], headers["content-length"] = "application/json", str(len(body))
                await send({**held, "status": status_of(held["status"])})
                message = {"type": "http.response.body", "body": body}
            await send(message)

        await self._app(scope, receive, translated)
