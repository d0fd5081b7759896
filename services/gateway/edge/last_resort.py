"""The answer to an unexpected exception."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.edge.problems import problem_of


class LastResort:
    """ASGI middleware that answers 500 with the request's id; the framework's own handler runs outside of RequestId."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
            await problem_of(error)(scope, receive, send)
