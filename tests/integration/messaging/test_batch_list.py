"""Batches that Redis refuses, loses or keeps: one batch fails alone, and the connection of all stays."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from contract.errors import DeadlineExceeded, Overloaded
from contract.inference import Artifact, EncodedImage, Target
from messaging import redis_keys
from messaging.answering import BatchHandler
from messaging.batch_list import LARGE
from messaging.busy import Busy
from messaging.responder import Responder
from services.gateway.serving.batching.batcher import Batcher
from tests.integration.worker.echo_client import TIMEOUT_S, ask
from tests.integration.worker.echo_worker import respond
from tests.support.batcher import batcher
from tests.support.servers import Server, redis_server

pytestmark = pytest.mark.anyio

MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis of its own, whose pool `echo` is answered by a thread."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server, redis_py.Redis.from_url(server.url) as client:
        responder, ended = Responder("echo", client, BatchHandler(respond), b"{}", Busy()), threading.Event()

        def answer() -> None:
            while not ended.is_set():
                try:
                    responder.run()
                except redis_py.RedisError:  # as in a replica, whose wake-up messages call it again
                    time.sleep(0.01)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server
        ended.set()
        thread.join()


@pytest.fixture
def admin(server: Server) -> Iterator[Any]:
    client = redis_py.Redis.from_url(server.url)
    yield client
    client.config_set("maxmemory", 0)
    client.close()


@pytest.fixture
async def client(server: Server, admin: Any) -> AsyncIterator[Batcher]:
    async with batcher("echo", server.url) as client:
        assert await ask(client, "hello") == "olleh"
        yield client


def connection(client: Batcher) -> object:
    return client._channel._out  # type: ignore[attr-defined]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110  polls a server
            await asyncio.sleep(0.01)


async def until_accepted(client: Batcher) -> str:
    async with asyncio.timeout(10):
        while True:
            try:
                return await ask(client, "hello")
            except Overloaded:
                await asyncio.sleep(0.05)


async def test_a_full_redis_fails_the_large_batch_only(client: Batcher, admin: Any, tmp_path: Path) -> None:
    # given a batch that a replica computes
    before = connection(client)
    held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
    await until(lambda: any(tmp_path.iterdir()))
    admin.config_set("maxmemory", admin.info("memory")["used_memory"] + MIB)

    # when Redis has no room for another
    other_model = Target("other", 1, Artifact("jobs", "x", 1, "0" * 64))
    with pytest.raises(Overloaded, match="memory is full"):
        await client.ask(other_model, EncodedImage(b"x" * 4 * MIB), 10)

    # then the first one is answered, and others are when Redis has freed its buffer, within two seconds or so
    (tmp_path / "released").touch()
    assert await held == f"until {tmp_path}/released"[::-1]
    assert await until_accepted(client) == "olleh"
    assert connection(client) is before


async def test_a_full_redis_heals_without_help(client: Batcher, admin: Any) -> None:
    before = connection(client)
    admin.config_set("maxmemory", 1)
    for text in ("hello", "x" * 2 * LARGE):
        with pytest.raises(Overloaded, match="memory is full"):
            await ask(client, text, 5)

    admin.config_set("maxmemory", 0)

    assert await ask(client, "hello") == "olleh"
    assert await ask(client, "x" * 2 * LARGE) == "x" * 2 * LARGE
    assert connection(client) is before


@pytest.mark.parametrize("text", ["hello", "y" * 2 * LARGE], ids=["small", "large"])
async def test_a_redis_that_lost_its_scripts_still_takes_batches(client: Batcher, admin: Any, text: str) -> None:
    before = connection(client)
    admin.script_flush()

    answers = await asyncio.gather(*(ask(client, text) for _ in range(3)))

    assert answers == [text[::-1]] * 3
    assert connection(client) is before


async def test_a_batch_waits_in_redis_once_after_a_reconnection(server: Server, admin: Any) -> None:
    key = redis_keys.batches("nobody")
    async with batcher("nobody", server.url) as client:
        waiting = asyncio.create_task(ask(client, "hello", 3))
        await until(lambda: admin.llen(key) == 1)
        before = connection(client)

        admin.client_kill_filter(_type="normal", skipme=True)
        await until(lambda: connection(client) not in {None, before})
        await client.ping()

        assert admin.llen(key) == 1
        with pytest.raises(DeadlineExceeded):
            await waiting
        await until(lambda: admin.llen(key) == 0)


async def test_a_batch_withdrawn_during_an_outage_is_removed_after_it(server: Server, admin: Any) -> None:
    key = redis_keys.batches("nobody")
    async with batcher("nobody", server.url) as client:
        waiting = asyncio.create_task(ask(client, "hello"))
        await until(lambda: admin.llen(key) == 1)

        client._channel._out.close()  # type: ignore[attr-defined]
        waiting.cancel()
        await until(lambda: admin.llen(key) == 0)

    assert waiting.cancelled()


async def test_large_images_for_many_models_do_not_fill_redis_or_delay_others(
    client: Batcher, admin: Any, server: Server
) -> None:
    """Eight of them filled the 512 MB before."""
    admin.config_set("maxmemory", 512 * MIB)

    # when images of 24 MiB are sent for models of a pool without replicas, by a gateway
    async with batcher("nobody", server.url) as attacked:
        image = EncodedImage(b"x" * 24 * MIB)
        targets = [Target(f"model-{number}", 1, Artifact("jobs", "x", 1, "0" * 64)) for number in range(16)]
        attack = [asyncio.create_task(attacked.ask(target, image, 4)) for target in targets]

        # then Redis has room, and another model is answered as before
        most, waits = 0, []
        while not all(task.done() for task in attack):
            since = time.perf_counter()
            assert await ask(client, "hello") == "olleh"
            waits.append(time.perf_counter() - since)
            most = max(most, admin.info("memory")["used_memory"])
        outcomes = await asyncio.gather(*attack, return_exceptions=True)
        await until(lambda: admin.llen(redis_keys.batches("nobody")) == 0)
        await until(lambda: admin.info("memory")["used_memory"] < 64 * MIB)

    assert {type(outcome) for outcome in outcomes} == {DeadlineExceeded}
    assert most < 256 * MIB
    assert sorted(waits)[len(waits) // 2] < 1
