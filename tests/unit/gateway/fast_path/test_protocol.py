"""Requests that take the fast path, and requests that go to the application."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import REGISTRY
from starlette.types import Receive, Scope, Send
from structlog.typing import EventDict
from uvicorn.server import ServerState

from contract.access import DEFAULT_PROJECT
from contract.access import Scope as KeyScope
from messaging.in_memory import MemoryChannel
from services.gateway.app import create_protocol
from services.gateway.dependencies import Backends
from services.gateway.serving.predictor import ModelQuery
from services.storage.stores import Stores
from tests.unit.gateway.fast_path.serving import no_app, serving, warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

PREDICT = "/v1/models/pet-cnn/predict"


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({KeyScope.PREDICT})).secret


@pytest.fixture
def headers(secret: str) -> dict[str, str]:
    return {"Content-Type": "image/png", "Authorization": f"Bearer {secret}"}


@pytest.fixture
def passed_on() -> list[Scope]:
    """The requests that went to the application."""
    return []


@pytest.fixture
async def fast(backends: Backends, passed_on: list[Scope], secret: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the fast path, with the key and the model cached; the application answers 204."""

    async def note(scope: Scope, receive: Receive, send: Send) -> None:
        passed_on.append(scope)
        while (await receive()).get("more_body"):
            continue
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    await backends.predictor.inference.open()
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"), ModelQuery(DEFAULT_PROJECT, "pet-cnn", 1))
    async with serving(note, create_protocol(backends)) as client:
        yield client


def counted(status: int) -> float:
    labels = {"method": "POST", "route": "/v1/models/{name}/predict", "status": str(status)}
    return REGISTRY.get_sample_value("tidepool_http_requests_total", labels) or 0.0


@pytest.mark.parametrize("query", ["", "?top_k=2", "?version=1", "?version=1&top_k=999"])
@pytest.mark.parametrize(
    "kind", ["image/jpeg", "image/jpg", "image/x", "IMAGE/PNG; q=1", "application/octet-stream", ""]
)
async def test_a_plain_request_takes_the_fast_path(
    fast: httpx.AsyncClient, passed_on: list[Scope], headers: dict[str, str], query: str, kind: str
) -> None:
    response = await fast.post(PREDICT + query, content=b"image", headers=headers | {"Content-Type": kind})

    assert (response.status_code, response.json()["predictions"][0]["label"]) == (200, "cat")
    assert passed_on == []


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("/v1/models/pet-cnn/predict/", {}),
        ("/v1/models/UPPER/predict", {}),
        ("/v1/jobs", {}),
        ("/v1/models/not-cached/predict", {}),
        (f"{PREDICT}?top_k=0", {}),
        (f"{PREDICT}?top_k=1001", {}),
        (f"{PREDICT}?top_k=1&top_k=2", {}),
        (f"{PREDICT}?top_k=", {}),
        (f"{PREDICT}?surprise=1", {}),
        (f"{PREDICT}?version=1&alias=production", {}),
        (f"{PREDICT}?alias=production", {}),
        (PREDICT, {"Content-Type": "application/json"}),
        (f"{PREDICT}?topk=3", {}),
        (PREDICT, {"Content-Type": "multipart/form-data; boundary=x"}),
        (PREDICT, {"Authorization": "bearer lower"}),
        (PREDICT, {"Authorization": "Basic dGVzdA=="}),
        (PREDICT, {"Authorization": "Bearer wrong"}),
        (PREDICT, {"Authorization": ""}),
        (PREDICT, {"X-Request-Timeout": "1"}),
        (PREDICT, {"X-Tidepool-No-Review": "perhaps"}),
    ],
)
async def test_an_unusual_request_goes_to_the_application(
    fast: httpx.AsyncClient, passed_on: list[Scope], headers: dict[str, str], path: str, changed: dict[str, str]
) -> None:
    response = await fast.post(path, content=b"image", headers=headers | changed)

    assert response.status_code == 204
    (scope,) = passed_on
    assert (scope["method"], scope["path"]) == ("POST", path.partition("?")[0])
    assert dict(scope["headers"])[b"content-length"] == b"5"


@pytest.mark.parametrize("image", [b"", b"x" * 8001], ids=["none", "too large"])
async def test_an_empty_or_too_large_body_goes_to_the_application(
    fast: httpx.AsyncClient, passed_on: list[Scope], headers: dict[str, str], image: bytes
) -> None:
    await fast.post(PREDICT, content=image, headers=headers)

    assert len(passed_on) == 1


async def test_a_body_without_content_length_goes_to_the_application(
    fast: httpx.AsyncClient, passed_on: list[Scope], headers: dict[str, str]
) -> None:
    async def chunks() -> Any:
        yield b"image"

    await fast.post(PREDICT, content=chunks(), headers=headers)

    assert len(passed_on) == 1


async def test_a_key_without_the_scope_goes_to_the_application(
    fast: httpx.AsyncClient, backends: Backends, stores: Stores, passed_on: list[Scope], headers: dict[str, str]
) -> None:
    secret = stores.keys.create("reader", frozenset({KeyScope.READ})).secret
    await backends.access.authenticate(f"Bearer {secret}")

    await fast.post(PREDICT, content=b"image", headers=headers | {"Authorization": f"Bearer {secret}"})

    assert len(passed_on) == 1


async def test_a_request_is_counted_and_has_an_id(fast: httpx.AsyncClient, headers: dict[str, str]) -> None:
    before = counted(200)

    response = await fast.post(PREDICT, content=b"image", headers=headers | {"X-Request-ID": "trace-7"})

    assert response.headers["x-request-id"] == "trace-7"
    assert counted(200) == before + 1


async def test_a_refusal_is_logged_with_its_id(
    fast: httpx.AsyncClient, headers: dict[str, str], logs: list[EventDict]
) -> None:
    response = await fast.post(PREDICT, content=b"bad", headers=headers | {"X-Request-ID": "trace-7"})

    assert response.json()["request_id"] == "trace-7"
    assert [(line["event"], line["status"], line["request_id"]) for line in logs] == [("request", 422, "trace-7")]


async def test_the_batch_of_a_client_that_disconnects_is_withdrawn(
    fast: httpx.AsyncClient, channel: MemoryChannel, headers: dict[str, str]
) -> None:
    # given a client whose image was sent to a replica that does not answer
    channel.held = True
    before = counted(499)
    waiting = asyncio.create_task(fast.post(PREDICT, content=b"image", headers=headers))
    while not channel.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)

    # when it disconnects
    waiting.cancel()
    while not channel.withdrawn:  # noqa: ASYNC110
        await asyncio.sleep(0)

    # then its batch is withdrawn
    assert channel.withdrawn == channel.sent
    assert counted(499) == before + 1


async def test_each_request_of_a_connection_is_taken_by_its_own_headers(
    fast: httpx.AsyncClient, passed_on: list[Scope], headers: dict[str, str]
) -> None:
    requests: list[tuple[str, bytes, dict[str, str], int]] = [
        (PREDICT, b"image", {}, 200),
        (PREDICT, b"a longer image", {}, 200),
        (PREDICT, b"image", {"Authorization": "Bearer wrong"}, 204),
        (PREDICT, b"image", {}, 200),
        (f"{PREDICT}?top_k=0", b"image", {}, 204),
        (PREDICT, b"x" * 8001, {}, 204),
        (PREDICT, b"bad", {}, 422),
        (PREDICT, b"image", {"X-Request-ID": "trace-7"}, 200),
        (PREDICT, b"image", {"X-Request-ID": "trace-8"}, 200),
    ]

    responses = [await fast.post(path, content=image, headers=headers | more) for path, image, more, _ in requests]

    assert [response.status_code for response in responses] == [status for *_, status in requests]
    assert [response.headers["x-request-id"] for response in responses[-2:]] == ["trace-7", "trace-8"]
    assert len(passed_on) == 3


async def test_an_origin_that_a_new_key_names_may_read_the_next_answer_of_an_open_connection(
    fast: httpx.AsyncClient, backends: Backends, stores: Stores, headers: dict[str, str]
) -> None:
    origin = "https://app.example.com"
    before = await fast.post(PREDICT, content=b"image", headers=headers | {"Origin": origin})
    stores.keys.create("page", frozenset({KeyScope.PREDICT}), origins=(origin,))
    backends.origins.forget()
    await backends.origins.refresh(origin)

    after = await fast.post(PREDICT, content=b"image", headers=headers | {"Origin": origin})

    assert (before.status_code, after.status_code) == (200, 200)
    assert "access-control-allow-origin" not in before.headers
    assert after.headers["access-control-allow-origin"] == origin


@asynccontextmanager
async def closing_idle(backends: Backends, seconds: float) -> AsyncIterator[tuple[str, int]]:
    """The address of a server whose connections end when they have been idle for this time."""
    config, state = uvicorn.Config(no_app, lifespan="off", log_config=None), ServerState()
    config.timeout_keep_alive = seconds  # type: ignore[assignment]
    protocol = create_protocol(backends)
    server = await asyncio.get_running_loop().create_server(
        lambda: protocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        yield server.sockets[0].getsockname()


def predict(secret: str) -> bytes:
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nAuthorization: Bearer {secret}\r\n"
    return f"{head}Content-Length: 5\r\n\r\nimage".encode()


async def test_a_connection_ends_when_it_is_idle_and_not_while_it_is_used(backends: Backends, secret: str) -> None:
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    async with closing_idle(backends, 0.4) as address:
        reader, writer = await asyncio.open_connection(*address)

        # when it is used for longer
        for _ in range(6):
            writer.write(predict(secret))
            response = await reader.readuntil(b"\r\n\r\n")
            length = int(response.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            assert response.startswith(b"HTTP/1.1 200")
            await reader.readexactly(length)
            await asyncio.sleep(0.1)

        # then it ends once it is not
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()


async def test_a_request_that_arrives_while_the_loop_is_busy_is_answered_though_the_idle_time_ends(
    backends: Backends, secret: str
) -> None:
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    async with closing_idle(backends, 0.4) as address:
        loop = asyncio.get_running_loop()
        with socket.create_connection(address) as client:
            client.setblocking(False)
            client.send(predict(secret))
            first = await loop.sock_recv(client, 1 << 16)

            # when the next one arrives in the turn of the loop that ends the idle time, which has read nothing since
            loop.call_later(0.1, time.sleep, 0.5)
            loop.call_later(0.2, client.send, predict(secret))
            async with asyncio.timeout(10):
                second = await loop.sock_recv(client, 1 << 16)

    assert first.startswith(b"HTTP/1.1 200")
    assert second.startswith(b"HTTP/1.1 200")
