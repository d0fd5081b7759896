"""The only place that answers for an exception that nobody expected."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.edge.problems import problem_of


class LastResort:
    """ASGI middleware: 500 with the request's id, which the framework's own last resort is outside of."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if started:
                raise  # too late for another answer: the server cuts the connection, so that nobody takes it for whole
            await problem_of(error)(scope, receive, send)
