"""What the gateway holds for clients that do not read their answers, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from services.gateway.dependencies import Backends
from services.storage.stores import Stores
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.edge.connections import END_S, GET, LIMITS, serving

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

LARGE = 8 << 20  # bytes of an answer, more than the buffers of sockets take


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that answers with much."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]})
    await send({"type": "http.response.body", "body": bytes(LARGE)})


@asynccontextmanager
async def not_reading(address: tuple[str, int], buffer: int = 4096) -> AsyncIterator[socket.socket]:
    """A connection that asks and does not read."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        line.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(line, address)
        await loop.sock_sendall(line, GET + b"\r\n")
        yield line


@pytest.fixture
def backends(app: FastAPI, stores: Stores) -> Backends:
    return make_backends(stores, app.state.backends.predictor.inference, LIMITS)


def with_budget(backends: Backends, size: int) -> Backends:
    """The backends of a gateway that holds this many bytes of bodies and answers."""
    settings = LIMITS.model_copy(update={"body_bytes_in_flight": size})
    return make_backends(backends.stores, backends.predictor.inference, settings)


async def test_a_client_that_does_not_read_its_answer_is_disconnected(backends: Backends) -> None:
    backends = with_budget(backends, 12 << 20)
    async with serving(backends, large) as gateway, not_reading(gateway.address), asyncio.timeout(END_S):
        while not gateway.state.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        while gateway.state.connections:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    budget = backends.bodies.predictions
    assert budget.take(budget.largest)  # nothing is held any more


async def test_a_client_that_reads_slowly_gets_its_whole_answer(backends: Backends) -> None:
    async with serving(backends, large) as gateway, not_reading(gateway.address, 1 << 18) as line:
        received, loop = 0, asyncio.get_running_loop()
        async with asyncio.timeout(END_S):
            while received < LARGE:
                piece = await loop.sock_recv(line, 1 << 18)
                assert piece
                received += len(piece)
                await asyncio.sleep(0.03)


async def test_an_answer_without_room_beside_others_ends_its_connection(backends: Backends) -> None:
    backends = with_budget(backends, 1 << 20)
    received = 0
    async with serving(backends, large) as gateway, not_reading(gateway.address) as line, asyncio.timeout(END_S):
        while gateway.state.connections or not received:
            try:
                received += len(await asyncio.get_running_loop().sock_recv(line, 1 << 12))
            except ConnectionResetError:
                break

    assert received < LARGE
