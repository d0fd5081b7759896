"""What a gateway's channel does with local replicas when Redis, which is simulated, comes back after an outage."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from contract.inference import Reply, Scores, Target
from contract.reports import GatewayReport
from messaging import redis_channel
from messaging.answering import BatchAnswers, BatchHandler
from messaging.broker import Broker, celery_app
from messaging.busy import Busy
from messaging.channel import MayBeLost
from messaging.local_server import LocalServer
from messaging.redis_channel import RedisChannel
from messaging.settings import BrokerSettings

pytestmark = pytest.mark.anyio


class Redis:
    """Answers the commands of a channel; `present` are the replicas with recent heartbeats."""

    def __init__(self) -> None:
        self.present = [b"a"]
        self.checks = 0
        self.connections: list[Connection] = []

    def restart(self) -> None:
        """End the connections; heartbeats are lost."""
        self.present = []
        for connection in self.connections:
            connection.close()

    async def checked(self) -> None:
        """Wait until the channel has handled what is present now."""
        target = self.checks + 4
        await until(lambda: self.checks >= target)


class Connection:
    """Stands for a Pipe to Redis."""

    def __init__(self, server: Redis) -> None:
        self._server = server
        self.broken = asyncio.get_running_loop().create_future()

    async def execute(self, command: str, *_: Any) -> Any:
        if command == "EVAL":
            self._server.checks += 1
            return list(self._server.present)
        return b"sha" if command == "SCRIPT" else []

    def send(self, command: str, *_: Any, callback: Callable[[Any], None] = lambda _: None) -> None:
        asyncio.get_running_loop().call_later(0.05 if command == "BLPOP" else 0.0, callback, None)

    def close(self) -> None:
        if not self.broken.done():
            self.broken.set_result(None)


class Listener:
    """Ignores what the channel tells it."""

    def replied(self, reply: Reply) -> None: ...

    def refused(self, batch_id: str, error: Exception) -> None: ...

    def lost(self, may_be_lost: MayBeLost) -> None: ...

    def report(self) -> GatewayReport:
        return GatewayReport(waiting=0, per_minute=0.0)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Redis:
    redis = Redis()

    async def connect(_: str) -> Connection:
        redis.connections.append(Connection(redis))
        return redis.connections[-1]

    monkeypatch.setattr(redis_channel.Pipe, "open", connect)
    monkeypatch.setattr(redis_channel, "WATCH_S", 0.01)
    monkeypatch.setattr(redis_channel, "RECONNECT_S", 0.01)
    return redis


@pytest.fixture
async def channel(server: Redis, tmp_path: Path) -> AsyncIterator[RedisChannel]:
    """A channel that is connected to the replica `a` of this machine."""

    def respond(_: Target, __: Any) -> BatchAnswers:
        return BatchAnswers([Scores((("cat", 1.0),))], 1.0, "", 8)

    replica = LocalServer("pool", tmp_path, "a", BatchHandler(respond, 1), Busy())
    replica.start()
    settings = BrokerSettings.model_validate({"url": "redis://unused"})
    channel = RedisChannel("pool", settings, Broker(celery_app(settings)), tmp_path)
    channel.listener = Listener()
    await channel.open()
    await until(lambda: local_replicas(channel) == ["a"])
    yield channel
    await channel.close()
    replica.leave()
    await asyncio.to_thread(replica.join)


def local_replicas(channel: RedisChannel) -> list[str]:
    assert channel._local is not None
    return list(channel._local._connections)


async def test_local_replicas_keep_their_connections_until_they_are_present_again_after_an_outage(
    server: Redis, channel: RedisChannel
) -> None:
    server.restart()
    await server.checked()

    assert local_replicas(channel) == ["a"]
    assert channel._lost_at == {}
    assert channel.replicas == frozenset()

    # a second outage meanwhile changes nothing, and once it is present, its absence counts at once
    server.restart()
    await server.checked()
    assert local_replicas(channel) == ["a"]
    server.present = [b"a"]
    await server.checked()
    server.present = []
    await until(lambda: local_replicas(channel) == [])
    assert list(channel._lost_at) == ["a"]


async def test_checks_that_were_delayed_count_as_an_outage(
    server: Redis, channel: RedisChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_channel, "OUTAGE_S", 0.0)
    server.present = []
    await server.checked()

    assert local_replicas(channel) == ["a"]


async def test_a_local_replica_that_does_not_return_after_an_outage_is_lost(
    server: Redis, channel: RedisChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_channel, "RETURN_S", 0.05)
    server.restart()

    await until(lambda: list(channel._lost_at) == ["a"])
    assert local_replicas(channel) == []
