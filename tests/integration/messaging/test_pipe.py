"""Commands to a real Redis, one behind the other."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import hiredis
import pytest
import redis as redis_py

from contract.errors import BrokerUnavailable
from messaging import pipe as pipe_module
from messaging.pipe import Pipe
from tests.support.servers import Server, free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pipe(redis: Server) -> AsyncIterator[Pipe]:
    found = await Pipe.open(redis.url)
    yield found
    found.close()


async def test_replies_come_in_the_order_of_the_commands(pipe: Pipe) -> None:
    replies: list[Any] = []
    for number in range(1000):
        pipe.send("ECHO", str(number), then=replies.append)

    assert await pipe.ask("ECHO", b"\x00binary\r\n") == b"\x00binary\r\n"

    assert replies == [str(number).encode() for number in range(1000)]


async def test_a_large_value_comes_in_pieces_and_whole(pipe: Pipe) -> None:
    value = b"x" * (4 << 20)

    assert await pipe.ask("ECHO", value) == value


async def test_a_refusal_is_a_value_or_an_error(pipe: Pipe) -> None:
    replies: list[Any] = []
    pipe.send("NONSENSE", then=replies.append)
    with pytest.raises(BrokerUnavailable):
        await pipe.ask("NONSENSE")

    assert isinstance(replies[0], hiredis.ReplyError)
    assert await pipe.ask("PING") == b"PONG"


async def test_the_database_of_the_url_is_used(redis: Server) -> None:
    urls = [redis.url.removesuffix("/0") + database for database in ("/3", "/0")]
    pipe = await Pipe.open(urls[0])

    await pipe.ask("SET", "test-pipe", "here", "EX", 60)
    pipe.close()

    assert [redis_py.Redis.from_url(url).get("test-pipe") for url in urls] == [b"here", None]


@pytest.mark.parametrize("secret", [":wrong", "nobody:wrong"])
async def test_a_wrong_password_leaves_no_connection_behind(redis: Server, secret: str) -> None:
    client = redis_py.Redis.from_url(redis.url)
    before = len(client.client_list())

    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://{secret}@{redis.url.partition('@')[2]}")

    async with asyncio.timeout(30):
        while len(client.client_list()) > before:  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.01)


async def test_no_password_is_told_by_the_first_command(redis: Server) -> None:
    pipe = await Pipe.open(f"redis://{redis.url.partition('@')[2]}")

    with pytest.raises(BrokerUnavailable):
        await pipe.ask("PING")

    pipe.close()


async def test_nobody_listens() -> None:
    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://127.0.0.1:{free_port()}/0")


async def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "CONNECT_S", 0.1)
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            continue
        left.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://:password@127.0.0.1:{port}/0")

    async with asyncio.timeout(30):
        await left.wait()
    server.close()


async def test_a_pipe_that_broke_stays_broken(redis: Server, pipe: Pipe) -> None:
    waiting = asyncio.create_task(pipe.ask("BLPOP", "test-pipe-nothing", 30))
    name = await Pipe.open(redis.url)
    assert await name.ask("PING") == b"PONG"

    redis_py.Redis.from_url(redis.url).client_kill_filter(_type="normal", skipme=True)

    # whoever waits hears of it, and so does whoever comes
    with pytest.raises(BrokerUnavailable):
        await waiting
    with pytest.raises(BrokerUnavailable):
        pipe.send("PING")
    with pytest.raises(BrokerUnavailable):
        await pipe.ask("PING")
