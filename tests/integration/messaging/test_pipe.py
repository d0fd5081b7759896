"""Pipelined commands to a real Redis."""

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
async def pipe(redis: Server) -> AsyncIterator[Pipe]:
    pipe = await Pipe.open(redis.url)
    yield pipe
    pipe.close()


async def test_replies_arrive_in_the_order_of_the_commands(pipe: Pipe) -> None:
    replies: list[Any] = []
    for number in range(1000):
        pipe.send("ECHO", str(number), callback=replies.append)

    assert await pipe.execute("ECHO", b"\x00binary\r\n") == b"\x00binary\r\n"

    assert replies == [str(number).encode() for number in range(1000)]


async def test_a_value_larger_than_one_read_is_received(pipe: Pipe) -> None:
    value = b"x" * (4 << 20)

    assert await pipe.execute("ECHO", value) == value


async def test_a_rejected_command_calls_back_with_an_error_or_raises(pipe: Pipe) -> None:
    replies: list[Any] = []
    pipe.send("NONSENSE", callback=replies.append)
    with pytest.raises(BrokerUnavailable):
        await pipe.execute("NONSENSE")

    assert isinstance(replies[0], hiredis.ReplyError)
    assert await pipe.execute("PING") == b"PONG"


async def test_the_database_number_of_the_url_is_used(redis: Server) -> None:
    urls = [redis.url.removesuffix("/0") + database for database in ("/3", "/0")]
    pipe = await Pipe.open(urls[0])

    await pipe.execute("SET", "test-pipe", "value", "EX", 60)
    pipe.close()

    assert [redis_py.Redis.from_url(url).get("test-pipe") for url in urls] == [b"value", None]


@pytest.mark.parametrize("secret", [":wrong", "nobody:wrong"])
async def test_a_wrong_password_raises_and_closes_the_connection(redis: Server, secret: str) -> None:
    client = redis_py.Redis.from_url(redis.url)
    before = len(client.client_list())

    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://{secret}@{redis.url.partition('@')[2]}")

    async with asyncio.timeout(30):
        while len(client.client_list()) > before:  # noqa: ASYNC110  polls another process
            await asyncio.sleep(0.01)


async def test_without_a_password_the_first_command_fails(redis: Server) -> None:
    pipe = await Pipe.open(f"redis://{redis.url.partition('@')[2]}")

    with pytest.raises(BrokerUnavailable):
        await pipe.execute("PING")

    pipe.close()


async def test_a_closed_port_is_an_outage() -> None:
    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://127.0.0.1:{free_port()}/0")


async def test_opening_times_out_on_a_silent_server_and_disconnects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipe_module, "CONNECT_S", 0.1)
    disconnected = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            continue
        disconnected.set()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    with pytest.raises(BrokerUnavailable):
        await Pipe.open(f"redis://:password@127.0.0.1:{port}/0")

    async with asyncio.timeout(30):
        await disconnected.wait()
    server.close()


async def test_a_broken_pipe_fails_waiting_and_new_commands(redis: Server, pipe: Pipe) -> None:
    waiting = asyncio.create_task(pipe.execute("BLPOP", "test-pipe-nothing", 30))
    other = await Pipe.open(redis.url)
    assert await other.execute("PING") == b"PONG"

    redis_py.Redis.from_url(redis.url).client_kill_filter(_type="normal", skipme=True)

    with pytest.raises(BrokerUnavailable):
        await waiting
    with pytest.raises(BrokerUnavailable):
        pipe.send("PING")
    with pytest.raises(BrokerUnavailable):
        await pipe.execute("PING")
