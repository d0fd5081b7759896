"""The faults of `test_channel.py` for replicas that take batches over a Unix socket, past Redis."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from contract.inference import Artifact, EncodedImage, Target
from messaging import redis_channel, redis_keys
from messaging.redis_channel import RedisChannel
from services.gateway.serving.batching.batcher import Batcher
from tests.integration.messaging.test_channel import busy_pid, wait_for_replicas
from tests.integration.worker.echo_client import TIMEOUT_S, ask, replica
from tests.support.batcher import batcher
from tests.support.servers import Server, redis_server

pytestmark = pytest.mark.anyio

OTHER = Target("other", 1, Artifact("jobs", "none", 1, "0" * 64))


@pytest.fixture
def server(tmp_path: Path) -> "contextlib.AbstractContextManager[Server]":
    return redis_server(tmp_path)


@pytest.fixture
async def client(tmp_path: Path, server: "contextlib.AbstractContextManager[Server]") -> AsyncIterator[Batcher]:
    """A gateway's batcher that shares a folder of sockets with replicas; `_url` of its channel has the server."""
    with server as running:
        async with batcher("echo", running.url, tmp_path / "sockets") as gateway:
            yield gateway


async def connected(client: Batcher, count: int, present: int = 0) -> None:
    """Wait until the gateway sends batches to this many replicas directly, of the `present` ones, or all."""
    channel = client._channel
    assert isinstance(channel, RedisChannel)
    await asyncio.to_thread(wait_for_replicas, client, present or count)
    await asyncio.to_thread(wait_until, lambda: channel._local is not None and len(channel._local._order) == count)


def wait_until(condition: Callable[[], bool], within_s: float = TIMEOUT_S) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def busy_replicas(folder: Path) -> int:
    return len(list(folder.glob("busy-*")))


def url_of(client: Batcher) -> str:
    channel = client._channel
    assert isinstance(channel, RedisChannel)
    return channel._url


async def test_a_batch_whose_replica_is_killed_is_answered_by_another_at_once(client: Batcher, tmp_path: Path) -> None:
    sockets, url = tmp_path / "sockets", url_of(client)
    with replica(url, tmp_path / "1", sockets) as first, replica(url, tmp_path / "2", sockets) as second:
        await connected(client, 2)
        held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
        busy = await asyncio.to_thread(busy_pid, tmp_path)

        # when its replica is killed
        next(process for process in (first, second) if process.pid == busy).kill()

        # then the other one has it, before the heartbeats of the first are missed
        await asyncio.to_thread(wait_until, lambda: busy_replicas(tmp_path) == 2, redis_keys.PRESENCE_TTL_S)
        (tmp_path / "released").touch()
        assert await held == f"until {tmp_path}/released"[::-1]
        # and its loss is not handled a second time
        await connected(client, 1)
        assert await ask(client, "hello") == "olleh"


async def test_a_batch_of_a_frozen_replica_is_answered_by_another(client: Batcher, tmp_path: Path) -> None:
    sockets, url = tmp_path / "sockets", url_of(client)
    with replica(url, tmp_path / "1", sockets) as first:
        await connected(client, 1)
        assert await ask(client, "hello") == "olleh"
        first.send_signal(signal.SIGSTOP)
        held = asyncio.create_task(ask(client, "held"))

        with replica(url, tmp_path / "2", sockets):
            assert await held == "dleh"
            first.send_signal(signal.SIGCONT)
            await connected(client, 2)


async def test_a_replica_that_leaves_answers_its_batches_and_none_is_sent_again(
    client: Batcher, tmp_path: Path
) -> None:
    sockets, url = tmp_path / "sockets", url_of(client)
    with replica(url, tmp_path / "1", sockets) as first, replica(url, tmp_path / "2", sockets) as second:
        await connected(client, 2)
        held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
        busy = await asyncio.to_thread(busy_pid, tmp_path)
        leaving, other = (first, second) if first.pid == busy else (second, first)

        leaving.terminate()
        await connected(client, 1, present=2)
        answers = await asyncio.gather(*(ask(client, f"text {number}") for number in range(40)))
        assert answers == [f"text {number}"[::-1] for number in range(40)]
        (tmp_path / "released").touch()

        assert await held == f"until {tmp_path}/released"[::-1]
        assert await asyncio.to_thread(leaving.wait, 30) == 0
        assert busy_replicas(tmp_path) == 1  # it was computed once
        assert other.poll() is None


async def test_a_batch_of_another_version_goes_through_redis_and_others_do_not_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_channel, "SILENCE_S", 1.5)
    sockets = tmp_path / "sockets"
    with redis_server(tmp_path) as server, replica(server.url, tmp_path / "log", sockets):
        async with batcher("echo", server.url, sockets) as client:
            await connected(client, 1)
            held = asyncio.create_task(ask(client, f"until {tmp_path}/released"))
            await asyncio.to_thread(busy_pid, tmp_path)
            answer = await client.ask(OTHER, EncodedImage(b"hello"), TIMEOUT_S)
            assert not held.done()
            assert "olleh" in str(answer.answer)
            (tmp_path / "released").touch()
            await held

            server.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(2)  # longer than the gateway waits for Redis

            assert await ask(client, "hello") == "olleh"

            server.process.send_signal(signal.SIGCONT)
            assert await ask(client, "hello") == "olleh"
