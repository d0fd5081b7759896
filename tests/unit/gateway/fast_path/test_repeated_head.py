"""Requests of a connection that have the head of the one before."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
from starlette.types import Receive, Scope, Send

from contract.access import DEFAULT_PROJECT
from contract.access import Scope as KeyScope
from services.gateway.dependencies import Backends
from services.gateway.fast_path.protocol import FastPathProtocol
from services.gateway.fast_path.repeated_head import RepeatedHead
from services.gateway.serving.predictor import ModelQuery
from services.storage.stores import Stores
from tests.unit.gateway.edge.connections import END_S, reply_of, serving
from tests.unit.gateway.fast_path.serving import warm

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("model", "fresh_cache")]

HEAD = b"POST /x HTTP/1.1\r\nHost: x\r\ncontent-LENGTH: %d\r\nAccept: */*\r\n\r\n"
PREDICT = "/v1/models/pet-cnn/predict"
CAT, PASSED_ON, DAMAGED, OTHER = 200, 299, 422, 204


@pytest.mark.parametrize("body", [b"", b"cat", b"a longer image" * 9, b"POST / HTTP/1.1\r\n\r\n"])
def test_the_body_follows_the_same_head(body: bytes) -> None:
    head = RepeatedHead.of(HEAD % 5 + b"image")

    assert head is not None
    assert head.body_of(HEAD % len(body) + body) == body


@pytest.mark.parametrize(
    "data",
    [
        HEAD % 5 + b"imag",
        HEAD % 5 + b"image!",
        HEAD % 5,
        (HEAD % 5 + b"image") * 2,
        b"\r\n" + HEAD % 5 + b"image",
        HEAD.replace(b"%d", b"+5") + b"image",
        HEAD.replace(b"%d", b"5 ") + b"image",
        HEAD.replace(b"%d", b"") + b"image",
        HEAD.replace(b"%d", b"0" * 30 + b"5") + b"image",
        HEAD.replace(b"Host", b"host") % 5 + b"image",
        HEAD.replace(b"*/*", b"*/* ") % 5 + b"image",
        HEAD.replace(b"\r\n\r\n", b"\r\nA: b\r\n\r\n") % 5 + b"image",
        HEAD[:10],
        b"",
    ],
)
def test_anything_else_does_not_have_that_head(data: bytes) -> None:
    head = RepeatedHead.of(HEAD % 5 + b"image")

    assert head is not None
    assert head.body_of(data) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        HEAD % 5 + b"imag",
        HEAD % 5 + b"image" + HEAD % 5,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\nimage",
        b"POST / HTTP/1.1\r\nX: y\r\n content-length: 5\r\n\r\nimage",
        b"POST / HTTP/1.1\r\n\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_only_one_whole_request_with_a_length_has_a_head_to_repeat(data: bytes) -> None:
    assert RepeatedHead.of(data) is None


@pytest.fixture
def secret(stores: Stores) -> str:
    return stores.keys.create("test", frozenset({KeyScope.PREDICT})).secret


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer predictions as the fast path does, but with 299 instead of 200, and all else with 204."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    status = OTHER if scope["path"] != PREDICT else DAMAGED if body.startswith(b"bad") else PASSED_ON
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


@asynccontextmanager
async def connection(backends: Backends, secret: str) -> AsyncIterator["Connection"]:
    """A connection to the fast path, with the key and the model cached."""
    await backends.predictor.inference.open()
    await warm(backends, secret, ModelQuery(DEFAULT_PROJECT, "pet-cnn"))
    async with serving(backends, answer) as gateway:
        yield Connection(*await gateway.connect())


class Connection:
    """The client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes, and let the server receive them before any others."""
        self._writer.write(data)
        await asyncio.sleep(0.002)

    async def status(self) -> int:
        """Return the status of the next answer."""
        async with asyncio.timeout(END_S):
            return (await reply_of(self._reader)).status

    async def ask(self, data: bytes) -> int:
        await self.send(data)
        return await self.status()


@contextmanager
def counted_parses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """Add an element for each request that the parser begins."""
    begun: list[None] = []
    original = FastPathProtocol.on_message_begin

    def begin(self: FastPathProtocol) -> None:
        begun.append(None)
        original(self)

    with monkeypatch.context() as patch:
        patch.setattr(FastPathProtocol, "on_message_begin", begin)
        yield begun


def predict(secret: str, body: bytes = b"image", path: str = PREDICT, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nAuthorization: Bearer {secret}\r\n"
    return f"{head}{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_the_parser_sees_only_the_first_of_requests_with_one_head(
    backends: Backends, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = [b"image", b"a longer image", b"bad", b"x" * 8000]

    with counted_parses(monkeypatch) as parsed:
        async with connection(backends, secret) as client:
            answers = [await client.ask(predict(secret, body)) for body in bodies]

    assert answers == [CAT, CAT, DAMAGED, CAT]
    assert len(parsed) == 1


async def test_a_head_after_the_beginning_of_another_request_belongs_to_that_one(
    backends: Backends, secret: str
) -> None:
    async with connection(backends, secret) as client:
        assert [await client.ask(predict(secret)) for _ in range(2)] == [CAT, CAT]

        # given a request whose end came with the beginning of another one
        assert await client.ask(predict(secret) + b"POST /v1/jobs HTTP/1.1\r\nX: ") == CAT

        # when the rest looks like a request of its own
        answer = await client.ask(predict(secret))

    # then it is that of the other request
    assert answer == OTHER


@pytest.mark.parametrize("body", [b"", b"x" * 8001])
async def test_a_repeated_head_with_a_body_of_another_kind_goes_to_the_application(
    backends: Backends, secret: str, body: bytes
) -> None:
    async with connection(backends, secret) as client:
        answers = [await client.ask(predict(secret, each)) for each in (b"image", body, b"image")]

    assert answers == [CAT, PASSED_ON, CAT]


async def test_a_repeated_head_whose_key_is_no_longer_cached_goes_to_the_application(
    backends: Backends, secret: str
) -> None:
    async with connection(backends, secret) as client:
        before = await client.ask(predict(secret))
        backends.access.forget()
        after = await client.ask(predict(secret))

    assert (before, after) == (CAT, PASSED_ON)


@pytest.mark.parametrize("seed", range(20))
async def test_the_answers_do_not_depend_on_how_the_bytes_arrive(backends: Backends, secret: str, seed: int) -> None:
    choose = random.Random(seed)
    kinds = [
        (predict(secret), CAT),
        (predict(secret), CAT),
        (predict(secret, b"a longer image"), CAT),
        (predict(secret, b"bad"), DAMAGED),
        (predict(secret, more="X-Request-ID: a\r\n"), CAT),
        (predict(secret, path="/v1/jobs"), OTHER),
    ]
    requests = choose.choices(kinds, k=12)
    stream = b"".join(data for data, _ in requests)
    ends = [sum(len(data) for data, _ in requests[: count + 1]) for count in range(len(requests))]
    cuts = sorted({*choose.sample(ends, 8), *choose.sample(range(len(stream)), 4), len(stream)})

    async with connection(backends, secret) as client:
        for start, end in zip([0, *cuts], cuts, strict=False):
            await client.send(stream[start:end])
        answers = [await client.status() for _ in requests]

    # those that wait for an earlier one are answered by the application
    assert [CAT if answer == PASSED_ON else answer for answer in answers] == [answer for _, answer in requests]
