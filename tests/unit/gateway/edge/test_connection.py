"""What one client can make the gateway hold before its request is complete, over real sockets."""

import asyncio
import resource
import socket
import time
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from contract.access import DEFAULT_PROJECT
from contract.access import Scope as KeyScope
from services.gateway.dependencies import Backends
from services.gateway.edge import connection, lingering, ttl_cache
from services.gateway.serving.predictor import ModelQuery
from services.gateway.settings import GatewaySettings
from services.storage.stores import Stores
from tests.unit.gateway.backends import make_backends
from tests.unit.gateway.edge.connections import END_S, GET, LIMITS, Gateway, ended, reply_of, serving
from tests.unit.gateway.fast_path.serving import warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model")]

PREDICT = b"POST /v1/models/pet-cnn/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


@pytest.fixture
def backends(app: FastAPI, stores: Stores) -> Backends:
    return make_backends(stores, app.state.backends.predictor.inference, LIMITS)


@pytest.fixture
async def gateway(backends: Backends) -> AsyncIterator[Gateway]:
    await backends.predictor.inference.open()
    async with serving(backends) as gateway:
        yield gateway


@pytest.fixture
async def key(backends: Backends, stores: Stores, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """The header of a key that is in the caches, with a model, so that predictions take the fast path."""
    monkeypatch.setattr(ttl_cache, "TTL_S", 3600.0)
    secret = stores.keys.create("test", frozenset({KeyScope.PREDICT})).secret
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    return f"Authorization: Bearer {secret}\r\n".encode()


async def test_half_open_requests_are_closed(gateway: Gateway) -> None:
    # given 300 clients that have sent a part of their headers
    lines = []
    for _ in range(300):
        reader, writer = await gateway.connect()
        writer.write(GET)
        lines.append((reader, writer))

    # then another client is answered
    assert (await gateway.exchange(GET + b"\r\n")).status == 200

    # and the others are told, and disconnected
    async with asyncio.timeout(END_S):
        for reader, writer in lines:
            reply = await reply_of(reader)
            assert (reply.status, reply.code, reply.headers["connection"]) == (408, "request_timeout", "close")
            await ended(reader)
            writer.close()
        while len(gateway.state.connections) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("first", [b"", GET + b"\r\n"], ids=["new", "reused"])
async def test_headers_that_drip_are_late(gateway: Gateway, first: bytes) -> None:
    reader, writer = await gateway.connect()
    if first:
        writer.write(first)
        assert (await reply_of(reader)).status == 200

    async def drip() -> None:
        for byte in GET * 100:
            writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    assert (await asyncio.wait_for(reply_of(reader), END_S)).code == "request_timeout"
    dripping.cancel()


async def test_a_first_request_that_arrives_at_a_busy_gateway_when_its_time_ends_is_answered(gateway: Gateway) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_connection(gateway.address) as client:
        client.setblocking(False)

        # when the loop reads nothing between the request and the end of the time
        loop.call_later(LIMITS.header_timeout_s - 0.5, time.sleep, 0.8)
        loop.call_later(LIMITS.header_timeout_s - 0.4, client.send, GET + b"\r\n")
        async with asyncio.timeout(END_S):
            answer = await loop.sock_recv(client, 1 << 16)

    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_connection_without_a_request_is_closed_without_an_answer(gateway: Gateway) -> None:
    reader, _ = await gateway.connect()
    blank, blank_writer = await gateway.connect()
    blank_writer.write(b"\r\n")

    await ended(reader)
    assert (await asyncio.wait_for(reply_of(blank), END_S)).status == 408


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("framing", [b"Content-Length: 5000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_body_that_stops_or_drips_is_late(
    gateway: Gateway, key: bytes, fast_path: bool, framing: bytes
) -> None:
    more = b"" if fast_path else b"X-Request-Timeout: 5\r\n"
    reader, writer = await gateway.connect()
    writer.write(PREDICT + key + more + framing + b"\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"1\r\nx\r\n" if b"chunked" in framing else b"x")
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    reply = await asyncio.wait_for(reply_of(reader), END_S)
    dripping.cancel()

    assert (reply.status, reply.code) == (408, "request_timeout")
    await ended(reader)


async def test_a_body_that_makes_progress_is_not_late(
    gateway: Gateway, key: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BODY_STEP", 10)
    reader, writer = await gateway.connect()
    writer.write(PREDICT + key + b"Content-Length: 150\r\n\r\n")
    for _ in range(15):
        await asyncio.sleep(0.1)
        writer.write(b"0123456789")

    assert (await asyncio.wait_for(reply_of(reader), END_S)).status == 200


async def test_a_body_that_the_application_has_not_read_is_not_late(backends: Backends) -> None:
    size = 1_000_000

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(1.5)
        received, more = 0, True
        while more:
            message = await receive()
            received, more = received + len(message["body"]), message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"7")]})
        await send({"type": "http.response.body", "body": b"%d" % received})

    async with serving(backends, app) as gateway:
        reply = await gateway.exchange(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        assert (reply.status, reply.body) == (200, b"%d" % size)


HUGE = b"x" * (4 << 20)


@pytest.mark.parametrize(
    "request_",
    [
        GET + b"X: " + b"x" * (33 << 10) + b"\r\n\r\n",
        GET + b"X: " + HUGE,
        GET + HUGE + b": x",
        b"GET /" + HUGE,
        b"GET /" + b"x" * (33 << 10) + b" HTTP/1.1\r\n\r\n",
        GET + b"".join(b"X%d: %s\r\n" % (number, b"x" * 1000) for number in range(40)) + b"\r\n",
        GET + b"X: x\r\n" * 100 + b"\r\n",
        GET + b"X: x\r\n" * 1_000_000,
        PREDICT + b"Transfer-Encoding: chunked\r\n\r\n5;x=" + HUGE,
        PREDICT + b"Transfer-Encoding: chunked\r\n\r\n5\r\nimage\r\n0\r\nX: " + HUGE,
    ],
    ids=["one", "endless", "name", "endless path", "path", "sum", "101", "a million", "chunk extension", "trailer"],
)
async def test_too_many_or_too_large_headers_are_refused(gateway: Gateway, key: bytes, request_: bytes) -> None:
    if b"chunked" in request_:
        request_ = request_.replace(b"Transfer", key + b"Transfer", 1)

    reply = await asyncio.wait_for(gateway.exchange(request_), END_S)

    assert (reply.status, reply.code, reply.headers["connection"]) == (431, "headers_too_large", "close")


async def test_headers_within_the_limits_are_read(gateway: Gateway) -> None:
    many = b"".join(b"X%d: %s\r\n" % (number, b"x" * 300) for number in range(99))

    assert (await gateway.exchange(GET + many + b"\r\n")).status == 200


async def test_connections_over_the_limit_are_refused(app: FastAPI, stores: Stores) -> None:
    inference = app.state.backends.predictor.inference
    async with serving(make_backends(stores, inference, GatewaySettings(max_connections=20))) as gateway:
        lines = [await gateway.connect() for _ in range(20)]

        refused = await asyncio.wait_for(gateway.exchange(GET + b"\r\n"), END_S)
        assert (refused.status, refused.code) == (503, "overloaded")
        assert refused.headers["retry-after"]

        for _, writer in lines[:5]:
            writer.close()
        async with asyncio.timeout(END_S):
            while (await gateway.exchange(GET + b"\r\n")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_connections_far_over_the_limit_get_no_answer(app: FastAPI, stores: Stores) -> None:
    inference = app.state.backends.predictor.inference
    async with serving(make_backends(stores, inference, GatewaySettings(max_connections=1))) as gateway:
        for _ in range(connection.SPARE + 1):
            await gateway.connect()

        reader, _ = await gateway.connect()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        assert len(gateway.state.connections) <= connection.SPARE + 1


async def test_a_long_pipeline_is_cut(backends: Backends) -> None:
    started = 0

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        nonlocal started
        started += 1
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(backends, app) as gateway:
        reader, writer = await gateway.connect()
        writer.write((GET + b"\r\n") * 2_000)
        await ended(reader)
        assert started == 1


async def test_bytes_that_are_not_http_are_a_problem(gateway: Gateway) -> None:
    reply = await gateway.exchange(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n")

    assert (reply.status, reply.code, reply.headers["connection"]) == (400, "malformed", "close")


PATHS = ["/v1/jobs", "/v1/models/pet-cnn/predict", "/v1/datasets/pets/versions", "/v1/none", "/v2/models/pet-cnn/infer"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("header", [b"", b"Authorization: Bearer tp_0123abcd_%s\r\n" % (b"A" * 43)])
@pytest.mark.parametrize("framing", [b"Content-Length: 60000\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_body_is_not_read_before_the_key_is_checked(
    gateway: Gateway, path: str, header: bytes, framing: bytes
) -> None:
    # when only the headers were sent
    reply = await asyncio.wait_for(
        gateway.exchange(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + header + framing + b"\r\n"), 5
    )

    # then the answer is complete, and the connection ends
    assert (reply.status, reply.headers["connection"]) == (401, "close")
    assert reply.headers["www-authenticate"] == "Bearer"
    if path.startswith("/v1"):
        assert reply.code == "unauthenticated"


async def test_a_client_that_sends_a_large_body_can_read_the_refusal(gateway: Gateway) -> None:
    reader, writer = await gateway.connect()
    writer.write(b"POST /v1/datasets/pets/versions HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000000\r\n\r\n")

    async def send() -> None:
        for _ in range(3_000):
            writer.write(b"x" * 1_000_000)
            await writer.drain()

    sending = asyncio.create_task(send())
    reply = await asyncio.wait_for(reply_of(reader), END_S)

    assert (reply.status, reply.code) == (401, "unauthenticated")
    async with asyncio.timeout(END_S):
        with pytest.raises(ConnectionError):
            await sending


async def test_a_refused_client_that_stays_is_disconnected(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.2)
    reader, _ = await gateway.connect()
    reader2, writer2 = await gateway.connect()
    writer2.write(PREDICT + b"Content-Length: 60000\r\n\r\n")

    assert (await reply_of(reader2)).status == 401
    async with asyncio.timeout(END_S):
        while len(gateway.state.connections) > 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ended(reader)


@pytest.mark.parametrize(
    ("limits", "connections", "raised"),
    [
        ((1_024, 10_000), 2_048, (4_608, 10_000)),
        ((1_024, 4_096), 1_792, (4_096, 4_096)),
        ((256, 256), 1, (256, 256)),
        ((10_000, 10_000), 2_048, None),
        ((resource.RLIM_INFINITY,) * 2, 2_048, None),
        ((1_024, resource.RLIM_INFINITY), 2_048, (4_608, resource.RLIM_INFINITY)),
    ],
)
def test_the_limit_on_open_files_is_raised_for_the_connections(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], connections: int, raised: tuple[int, int] | None
) -> None:
    changes = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: changes.append(limit))

    assert connection.within_file_limit(2_048) == connections

    assert changes == ([] if raised is None else [raised])


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Host",
        "Content-Type",
        "Tidepool-Project",
        "Idempotency-Key",
        "X-Request-Timeout",
        "X-Tidepool-No-Review",
        "Origin",
    ],
)
async def test_a_header_that_may_be_sent_once_is_refused_twice(gateway: Gateway, key: bytes, name: str) -> None:
    """A proxy before the gateway may look at the first, and the gateway at the last."""
    twice = f"{name}: x\r\n{name.lower()}: y\r\n".encode()

    for request in (GET + twice + b"\r\n", PREDICT + key + twice + b"Content-Length: 5\r\n\r\nimage"):
        reply = await gateway.exchange(request)
        assert (reply.status, reply.code, reply.headers["connection"]) == (400, "malformed", "close")


async def test_other_headers_may_be_repeated(gateway: Gateway, key: bytes) -> None:
    request = PREDICT + key + b"Accept: a\r\nAccept: b\r\nContent-Length: 5\r\n\r\nimage"

    assert (await gateway.exchange(request)).status == 200


@pytest.mark.parametrize(("size", "status"), [(1, 400), (15, 400), (16, 200)])
async def test_a_body_of_very_small_chunks_is_refused(gateway: Gateway, key: bytes, size: int, status: int) -> None:
    chunk = b"%x\r\n%s\r\n" % (size, b"x" * size)
    body = chunk * (connection.MANY_PIECES + 100) + b"0\r\n\r\n"

    reply = await gateway.exchange(PREDICT + key + b"Transfer-Encoding: chunked\r\n\r\n" + body)

    assert reply.status == status
    assert reply.headers.get("connection") == (None if status == 200 else "close")
