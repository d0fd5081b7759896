"""The answer to an unexpected exception."""

from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class LastResort:
    """ASGI middleware that answers 500 with the request's id; the framework's own handler runs outside of RequestId."""

    def __init__(self, app: ASGIApp, answer: Callable[[Scope, Exception], ASGIApp]) -> None:
        """`answer` makes the response to an error."""
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def track_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, track_start)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise  # too late for another status; the server closes the connection, which truncates the answer
            await self._answer(scope, error)(scope, receive, send)
