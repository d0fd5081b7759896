"""The only place that answers for an exception that nobody expected."""

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from contract.errors import TidepoolError
from services.gateway.problems import answer

log = structlog.get_logger()


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
            log.error("request failed", code=TidepoolError.code, exc_info=error)
            detail = "an internal error; the gateway's log has it under this request_id"
            await answer(500, TidepoolError.code, detail)(scope, receive, send)
