"""A gateway on a socket, and the answers that it sends there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from services.gateway.app import create_app, create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge.problems import Problem
from services.gateway.settings import GatewaySettings

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LIMITS = GatewaySettings(header_timeout_s=1, body_timeout_s=1)
GET = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
END_S = 20.0


@dataclass
class Gateway:
    """A gateway on a socket."""

    address: tuple[str, int]
    state: ServerState
    lines: AsyncExitStack

    async def connect(self) -> Line:
        reader, writer = await asyncio.open_connection(*self.address)
        self.lines.callback(writer.close)
        return reader, writer

    async def exchange(self, request: bytes) -> "Reply":
        """Send bytes on a new connection and read its answer."""
        line = await self.connect()
        line[1].write(request)
        return await reply_of(line[0])


@dataclass
class Reply:
    """An answer, and whether the connection ended after it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        problem = Problem.model_validate_json(self.body)
        assert (problem.status, problem.request_id) == (self.status, self.headers["x-request-id"])
        return problem.code


async def reply_of(reader: asyncio.StreamReader) -> Reply:
    head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(head.split()[1]), headers, body)


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait for the end of a connection, without a further byte."""
    async with asyncio.timeout(END_S):
        assert await reader.read() == b""


@asynccontextmanager
async def serving(backends: Backends, app: App | None = None) -> AsyncIterator[Gateway]:
    config = uvicorn.Config(app or create_app(backends), lifespan="off", log_config=None)
    make, state = create_protocol(backends), ServerState()

    def connect() -> asyncio.Protocol:
        return make(config=config, server_state=state, app_state={})

    server = await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0, backlog=1024)
    async with server, AsyncExitStack() as lines:
        yield Gateway(server.sockets[0].getsockname(), state, lines)
