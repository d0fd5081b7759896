"""Replicas that come, go and die, as gateways and operators see them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py

from contract.errors import BrokerUnavailable
from messaging.broker import Broker, celery_app
from messaging.channel import RedisChannel
from messaging.settings import BrokerSettings
from services.gateway.serving.batching.batcher import Batcher
from services.gateway.serving.batching.lane import Bounds
from tests.asking import batcher
from tests.integration.worker.echoing import PATIENCE_S, ask, ask_all, replica, until_answered
from tests.servers import Server, redis_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Server]:
    """A Redis for one test to stop and to empty."""
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def channel(own_redis: Server) -> AsyncIterator[RedisChannel]:
    """A gateway's view of the pool."""
    settings = BrokerSettings.model_validate({"url": own_redis.url})
    channel = RedisChannel("echo", settings, Broker(celery_app(settings)))
    asker = Batcher(channel, Bounds())
    await asker.open()
    yield channel
    await asker.close()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110  of another process
            await asyncio.sleep(0.05)


async def test_replicas_are_seen_and_missed(own_redis: Server, channel: RedisChannel, tmp_path: Path) -> None:
    assert channel.replicas == frozenset()

    with replica(own_redis.url, tmp_path / "1") as first, replica(own_redis.url, tmp_path / "2") as second:
        await until(lambda: len(channel.replicas) == 2)
        assert {int(name.rpartition(".")[2]) for name in channel.replicas} == {first.pid, second.pid}
        first.kill()
        await until(lambda: len(channel.replicas) == 1)

    await until(lambda: channel.replicas == frozenset())


async def test_the_batch_of_a_replica_that_is_killed_is_sent_once_more(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "1") as first, replica(own_redis.url, tmp_path / "2") as second:
        other = {first.pid: second.pid, second.pid: first.pid}
        async with batcher("echo", own_redis.url) as asker:
            # given a batch that one of two replicas works at
            question = f"until {tmp_path}/released"
            answer = asyncio.create_task(ask(asker, question))
            await until(lambda: any((tmp_path / f"busy-{pid}").exists() for pid in other))
            (busy,) = (pid for pid in other if (tmp_path / f"busy-{pid}").exists())

            # when that one is killed
            os.kill(busy, signal.SIGKILL)
            (tmp_path / "released").touch()

            # then the other one answers, and was asked once
            assert await answer == question[::-1]
            assert await ask(asker, "pid") == str(other[busy])
            assert (await ask_all(asker, "computed")).count(question) == 1


async def test_a_redis_that_is_killed_and_started_again(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "log"):
        async with batcher("echo", own_redis.url) as asker:
            assert await until_answered(asker) == "olleh"

            own_redis.process.kill()
            own_redis.process.wait()
            await _until_refused(asker)

            # nobody but Redis is started again
            with _started_again(own_redis, tmp_path):
                assert await until_answered(asker) == "olleh"
                await asker.ping()


async def test_a_redis_that_forgets_its_scripts(own_redis: Server, tmp_path: Path) -> None:
    with replica(own_redis.url, tmp_path / "log"):
        async with batcher("echo", own_redis.url) as asker:
            assert await until_answered(asker) == "olleh"

            redis_py.Redis.from_url(own_redis.url).script_flush()

            assert await until_answered(asker) == "olleh"


async def test_a_wrong_password_is_an_outage(own_redis: Server) -> None:
    address = own_redis.url.partition("@")[2]

    async with batcher("echo", f"redis://:wrong@{address}") as asker:
        with pytest.raises(BrokerUnavailable):
            await ask(asker, "hello")


async def test_celery_understands_a_replica(own_redis: Server, tmp_path: Path) -> None:
    # given a replica that has answered a batch
    with replica(own_redis.url, tmp_path / "log") as process:
        async with batcher("echo", own_redis.url) as asker:
            assert await until_answered(asker) == "olleh"

        # when operators ask Celery's own command line, each something else
        command = [sys.executable, "-m", "celery", "-b", own_redis.url, "inspect", "--timeout", "5"]
        asking = (asyncio.to_thread(_run, [*command, question]) for question in ("ping", "active"))
        answers = await asyncio.gather(*asking)

    # then the replica is there
    for told in answers:
        assert told.returncode == 0, told.stderr
        assert f"-{process.pid}: OK" in told.stdout
        assert "1 node online" in told.stdout


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def _started_again(server: Server, folder: Path) -> Iterator[None]:
    with subprocess.Popen(server.process.args, stdout=subprocess.DEVNULL, cwd=folder) as process:
        yield
        process.terminate()


async def _until_refused(asker: Batcher) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await asker.ping()
            except BrokerUnavailable:
                return
            await asyncio.sleep(0.05)
