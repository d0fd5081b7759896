"""Requests on one connection: in pieces, pipelined, and while the connection closes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from contract.access import DEFAULT_PROJECT
from contract.access import Scope as KeyScope
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.edge import ttl_cache
from services.gateway.fast_path.protocol import FastPathProtocol
from services.gateway.serving.predictor import ModelQuery
from services.storage.stores import Stores
from tests.unit.gateway.fast_path.serving import warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = "POST /v1/models/pet-cnn/predict"
Line = tuple[asyncio.StreamReader, asyncio.StreamWriter, ServerState]


@pytest.fixture
async def secret(backends: Backends, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)
    secret = stores.keys.create("test", frozenset({KeyScope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    return secret


@pytest.fixture
def message(secret: str) -> Callable[..., bytes]:
    """Return a function that encodes a request."""

    def make(image: bytes, start: str = PREDICT, more: str = "") -> bytes:
        head = f"{start} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Type: image/png\r\n{more}"
        return f"{head}Content-Length: {len(image)}\r\n\r\n".encode() + image

    return make


@pytest.fixture
async def line(backends: Backends) -> AsyncIterator[Line]:
    async with connected(backends) as line:
        yield line


@asynccontextmanager
async def connected(backends: Backends) -> AsyncIterator[Line]:
    """One connection to the gateway, whose application answers 204 to everything."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    make, config, state = create_protocol(backends), uvicorn.Config(app, lifespan="off", log_config=None), ServerState()

    def connect() -> FastPathProtocol:
        return make(config=config, server_state=state, app_state={})

    async with await asyncio.get_running_loop().create_server(connect, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield reader, writer, state
        writer.close()


async def status_of(reader: asyncio.StreamReader) -> int:
    """Read the next response to its end and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, result, length = head.partition(b"content-length: ")
    await reader.readexactly(int(length.partition(b"\r\n")[0]) if result else 0)
    return int(head.split()[1])


async def test_a_body_that_arrives_in_pieces_is_reassembled(
    line: Line, message: Callable[..., bytes], channel: MemoryChannel
) -> None:
    reader, writer, _ = line
    whole = message(b"x" * 7_000)

    for start in range(0, len(whole), 997):
        writer.write(whole[start : start + 997])
        await writer.drain()
        await asyncio.sleep(0)

    assert await status_of(reader) == 200
    (batch,) = channel.sent
    assert len(batch.questions[0].payload.file) == 7_000  # type: ignore[union-attr]


async def test_requests_in_a_pipeline_are_answered_in_their_order(line: Line, message: Callable[..., bytes]) -> None:
    reader, writer, _ = line

    writer.write(message(b"a") + message(b"b", "POST /v1/jobs") + message(b"bad") + message(b"c"))

    # pipelined requests go to the application, which answers 204 here
    assert [await status_of(reader) for _ in range(4)] == [200, 204, 204, 204]


async def test_a_connection_is_reused(line: Line, message: Callable[..., bytes]) -> None:
    reader, writer, state = line

    for number in range(3):
        writer.write(message(b"bad" if number == 1 else b"a"))
        assert await status_of(reader) == (422 if number == 1 else 200)

    assert (len(state.connections), state.total_requests) == (1, 3)


async def test_connection_close_closes_the_connection_after_the_answer(
    line: Line, message: Callable[..., bytes]
) -> None:
    reader, writer, _ = line

    writer.write(message(b"a", more="Connection: close\r\n"))

    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close\r\n" in answer


async def test_a_request_in_progress_is_answered_before_the_server_stops(
    line: Line, message: Callable[..., bytes], channel: MemoryChannel
) -> None:
    # given a request in progress
    reader, writer, state = line
    channel.held = True
    writer.write(message(b"a"))
    while not channel.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)

    # when the server shuts down
    for connection in state.connections:
        connection.shutdown()
    await channel.answer(channel.sent[0])

    # then the request is answered, and its connection is closed
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_request_whose_body_is_incomplete_is_not_sent(
    line: Line, message: Callable[..., bytes], channel: MemoryChannel
) -> None:
    # given half a request
    _, writer, state = line
    writer.write(message(b"half")[:-2])
    await writer.drain()
    while not any(connection.cycle for connection in state.connections):  # noqa: ASYNC110
        await asyncio.sleep(0)

    # when the client disconnects
    writer.close()
    while state.connections:  # noqa: ASYNC110
        await asyncio.sleep(0)

    # then
    assert channel.sent == []
