"""What replicas and gateways say on a real Redis, and what is heard of it."""

import asyncio
import os
import socket
import uuid
from collections.abc import Callable, Iterator

import pytest
import redis as redis_py

from contract.errors import DeadlineExceeded
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from contract.usage import Purpose, Use
from messaging import channel, cordon, redis_keys, reports
from messaging.busy import Busy
from messaging.cordon import RedisCordon
from messaging.presence import Presence
from messaging.reports import RedisReports
from messaging.settings import BrokerSettings
from tests.integration.worker.echoing import PATIENCE_S, ask
from tests.support.batcher import batcher
from tests.support.servers import Server, free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> str:
    """A pool of this test's own."""
    name = f"pool-{uuid.uuid4().hex}"
    for module in (reports, cordon):
        monkeypatch.setattr(module, "POOL_NAMES", (name,))
    return name


@pytest.fixture
def client(redis: Server) -> Iterator["redis_py.Redis"]:
    client = redis_py.Redis.from_url(redis.url)
    yield client
    client.close()


def heard(url: str, pool: str) -> PoolReports:
    found = RedisReports(BrokerSettings.model_validate({"url": url})).read()
    assert found is not None
    return found[pool]


def test_nobody_says_anything(redis: Server, pool: str) -> None:
    assert heard(redis.url, pool) == PoolReports()


def test_a_replica_says_what_it_does(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    online, jobs = Busy(), Busy()
    first, second = (Presence(pool, name, client, online, jobs) for name in ("first", "second"))
    first.beat()
    jobs.begin(Use(Purpose.JOB))

    second.drain()
    second.beat()

    said = heard(redis.url, pool).replicas
    assert said["first"] == ReplicaReport(job=False, busy=0.0, draining=False)
    assert (said["second"].job, said["second"].draining) == (True, True)
    assert 0 < said["second"].busy < 1


def test_a_replica_with_a_gpu_is_as_busy_as_that_is(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    told = iter([0.75, None])
    jobs = Busy()
    jobs.begin(Use(Purpose.JOB))
    presence = Presence(pool, "replica", client, Busy(), jobs, gpu_busy=lambda: next(told))

    presence.beat()
    assert heard(redis.url, pool).replicas["replica"].busy == 0.75

    presence.beat()  # and if that is not known, as its work says
    assert heard(redis.url, pool).replicas["replica"].busy != 0.75


def test_who_takes_leave_is_gone_at_once_and_says_nothing_after(
    redis: Server, client: "redis_py.Redis", pool: str
) -> None:
    presence = Presence(pool, "replica", client, Busy(), Busy())
    presence.beat()

    presence.leave(b"wakeup")
    presence.beat()

    assert heard(redis.url, pool).replicas == {}
    assert client.smembers(redis_keys.left(pool)) == {b"replica"}
    assert client.llen(redis_keys.wakeups(pool)) == 0


def test_who_takes_leave_wakes_another_one_for_what_waits(client: "redis_py.Redis", pool: str) -> None:
    client.rpush(redis_keys.batches(pool), b"batch")

    Presence(pool, "replica", client, Busy(), Busy()).leave(b"wakeup")

    assert client.lrange(redis_keys.wakeups(pool), 0, -1) == [b"wakeup"]


def test_who_is_too_many_hears_it_while_it_is_said(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    # given
    heard: list[bool] = []
    presence = Presence(pool, "replica", client, Busy(), Busy(), heard.append)
    told = RedisCordon(BrokerSettings.model_validate({"url": redis.url}))

    # when
    presence.beat()
    for name in (f"{socket.gethostname()}:{os.getpid()}", f"{socket.gethostname()}:0", socket.gethostname()):
        told.say({pool: {name}})  # type: ignore[dict-item]
        presence.beat()
    told.say({})
    presence.beat()

    # then
    assert heard == [False, True, False, True, False]


def test_who_says_nothing_any_more_is_gone(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    # given two replicas, of which one beat for the last time longer ago than anybody waits
    for name in ("lives", "is-gone"):
        Presence(pool, name, client, Busy(), Busy()).beat()
    client.zincrby(redis_keys.replicas(pool), -redis_keys.PRESENT_S, "is-gone")

    assert heard(redis.url, pool).replicas.keys() == {"lives"}

    # and nothing is left of it
    assert client.hkeys(redis_keys.reports(redis_keys.replicas(pool))) == [b"lives"]


def test_no_broker_is_no_news() -> None:
    nowhere = BrokerSettings.model_validate({"url": f"redis://127.0.0.1:{free_port()}/0"})

    assert RedisReports(nowhere).read() is None


async def test_the_first_request_that_finds_no_replica_is_told_of_at_once(
    redis: Server, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a gateway that has beaten once, and will not do so again
    monkeypatch.setattr(channel, "WATCH_S", 3600.0)
    async with batcher(pool, redis.url) as asker:
        await _until(redis.url, pool, lambda said: said.waiting == 0)

        waiting = asyncio.create_task(ask(asker, "hello", PATIENCE_S))

        await _until(redis.url, pool, lambda said: said.waiting == 1)
        waiting.cancel()


async def test_a_gateway_says_that_a_request_waits_no_more(redis: Server, pool: str) -> None:
    async with batcher(pool, redis.url) as asker:
        waiting = asyncio.create_task(ask(asker, "hello", 3.0))
        await _until(redis.url, pool, lambda said: said.waiting == 1)

        with pytest.raises(DeadlineExceeded):
            await waiting

        await _until(redis.url, pool, lambda said: said.waiting == 0)


async def _until(url: str, pool: str, holds: Callable[[GatewayReport], bool]) -> None:
    """Return when the one gateway says what is to hold."""
    async with asyncio.timeout(PATIENCE_S):
        while not any(map(holds, (await asyncio.to_thread(heard, url, pool)).gateways.values())):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
