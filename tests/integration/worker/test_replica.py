"""Replicas start, leave and die, seen from gateways."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py

from contract.errors import BrokerUnavailable
from messaging.broker import Broker, celery_app
from messaging.redis_channel import RedisChannel
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from tests.integration.worker.echo_client import TIMEOUT_S, ask, ask_all, replica, until_answered
from tests.support.batcher import batcher
from tests.support.servers import Server, redis_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis that one test may stop and empty."""
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def channel(own_redis: Server) -> AsyncIterator[RedisChannel]:
    """The channel of a gateway to the pool."""
    settings = BrokerSettings.model_validate({"url": own_redis.url})
    channel = RedisChannel("echo", settings, Broker(celery_app(settings)))
    open_batcher = Batcher(channel, Bounds())
    await open_batcher.open()
    yield channel
    await open_batcher.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110  polls another process
            await asyncio.sleep(0.05)


async def test_a_channel_tracks_the_replicas_of_its_pool(
    own_redis: Server, channel: RedisChannel, tmp_path: Path
) -> None:
    assert channel.replicas == frozenset()

    with replica(own_redis.url, tmp_path / "1") as first, replica(own_redis.url, tmp_path / "2") as second:
        await until(lambda: len(channel.replicas) == 2)
        assert {int(name.rpartition(".")[2]) for name in channel.replicas} == {first.pid, second.pid}
        first.kill()
        await until(lambda: len(channel.replicas) == 1)

    await until(lambda: channel.replicas == frozenset())


async def test_the_batch_of_a_killed_replica_is_sent_again(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "1") as first, replica(own_redis.url, tmp_path / "2") as second:
        other = {first.pid: second.pid, second.pid: first.pid}
        async with batcher("echo", own_redis.url) as client:
            # given a batch in progress on one of two replicas
            question = f"until {tmp_path}/released"
            answer = asyncio.create_task(ask(client, question))
            await until(lambda: any((tmp_path / f"busy-{pid}").exists() for pid in other))
            (busy,) = (pid for pid in other if (tmp_path / f"busy-{pid}").exists())

            # when that replica is killed
            os.kill(busy, signal.SIGKILL)
            (tmp_path / "released").touch()

            # then the other one answers, having computed it once
            assert await answer == question[::-1]
            assert await ask(client, "pid") == str(other[busy])
            assert (await ask_all(client, "computed")).count(question) == 1


async def test_predictions_resume_after_redis_restarts(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "log"):
        async with batcher("echo", own_redis.url) as client:
            assert await until_answered(client) == "olleh"

            own_redis.process.kill()
            own_redis.process.wait()
            await _until_refused(client)

            # only Redis is restarted
            with _restarted(own_redis, tmp_path):
                assert await until_answered(client) == "olleh"
                await client.ping()


async def test_predictions_resume_after_redis_loses_its_scripts(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "log"):
        async with batcher("echo", own_redis.url) as client:
            assert await until_answered(client) == "olleh"

            redis_py.Redis.from_url(own_redis.url).script_flush()

            assert await until_answered(client) == "olleh"


async def test_a_wrong_password_is_an_outage(own_redis: Server) -> None:
    address = own_redis.url.partition("@")[2]

    async with batcher("echo", f"redis://:wrong@{address}") as client:
        with pytest.raises(BrokerUnavailable):
            await ask(client, "hello")


async def test_a_command_that_celery_broadcasts_does_not_stop_a_replica(own_redis: Server, tmp_path: Path) -> None:
    # given a replica that has answered a batch
    with replica(own_redis.url, tmp_path / "log") as process:
        async with batcher("echo", own_redis.url) as client:
            assert await until_answered(client) == "olleh"

            # when a client of the broker tells all workers to stop, and waits for their replies
            app = celery_app(BrokerSettings.model_validate({"url": own_redis.url}))
            replies = await asyncio.to_thread(app.control.broadcast, "shutdown", reply=True, timeout=2)

            # then none reacts
            assert replies == []
            assert process.poll() is None
            assert await until_answered(client) == "olleh"


@contextmanager
def _restarted(server: Server, folder: Path) -> Iterator[None]:
    with subprocess.Popen(server.process.args, stdout=subprocess.DEVNULL, cwd=folder) as process:
        yield
        process.terminate()


async def _until_refused(client: Batcher) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                await client.ping()
            except BrokerUnavailable:
                return
            await asyncio.sleep(0.05)
