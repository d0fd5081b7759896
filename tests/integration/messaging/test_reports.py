"""Presence, reports and cordon of replicas and gateways on a real Redis."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import redis as redis_py

from contract import __version__
from contract.errors import BrokerUnavailable, DeadlineExceeded
from contract.reports import GatewayReport, PoolReports, ReplicaReport
from contract.usage import Purpose, Use
from messaging import redis_channel, redis_keys
from messaging.busy import Busy
from messaging.cordon import RedisCordon
from messaging.presence import Presence
from messaging.process_presence import ProcessPresence
from messaging.reports import RedisReports
from messaging.settings import BrokerSettings
from tests.integration.worker.echo_client import TIMEOUT_S, ask
from tests.support.batcher import batcher
from tests.support.servers import Server, free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def client(redis: Server) -> Iterator["redis_py.Redis"]:
    client = redis_py.Redis.from_url(redis.url)
    yield client
    client.close()


def read(url: str, pool: str) -> PoolReports:
    pools = RedisReports(BrokerSettings.model_validate({"url": url})).read()
    assert pools is not None
    return pools[pool]


def test_an_unused_pool_has_no_reports(redis: Server, pool: str) -> None:
    assert read(redis.url, pool) == PoolReports()


def test_a_replica_reports_its_state_and_utilization(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    online, jobs = Busy(), Busy()
    first, second = (Presence(pool, name, client, online, jobs) for name in ("first", "second"))
    first.beat()
    jobs.begin(Use(Purpose.JOB))

    second.drain()
    second.beat()

    replicas = read(redis.url, pool).replicas
    assert replicas["first"] == ReplicaReport(job=False, busy=0.0, draining=False, version=__version__)
    assert (replicas["second"].job, replicas["second"].draining) == (True, True)
    assert 0 < replicas["second"].busy < 1


def test_the_report_of_an_older_replica_has_no_version(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    Presence(pool, "old", client, Busy(), Busy()).beat()
    client.hset(redis_keys.reports(redis_keys.replicas(pool)), "old", '{"job":false,"busy":0.5,"draining":false}')

    assert read(redis.url, pool).replicas["old"] == ReplicaReport(job=False, busy=0.5, draining=False)


def test_the_storage_process_reports_its_version_and_its_last_pass(redis: Server, client: "redis_py.Redis") -> None:
    settings = BrokerSettings.model_validate({"url": redis.url})
    client.delete(redis_keys.processes("storage"))
    presence = ProcessPresence("storage", settings)
    presence.passed()

    presence.beat()

    processes = RedisReports(settings).read_processes()
    assert processes is not None
    (report,) = processes["storage"].values()
    assert report.version == __version__
    assert 0 <= report.idle_s < 30
    assert processes["autoscaler"] == {}


def test_redis_tells_its_version_and_memory(redis: Server) -> None:
    facts = RedisReports(BrokerSettings.model_validate({"url": redis.url})).broker_facts()

    assert facts.user == "default"
    assert facts.version is not None
    assert (facts.used_bytes or 0) > 0
    assert facts.policy == "noeviction"
    assert abs(facts.clock - time.time()) < 60


def test_a_redis_that_is_away_has_no_facts_and_no_processes() -> None:
    reports = RedisReports(BrokerSettings.model_validate({"url": f"redis://127.0.0.1:{free_port()}/0"}))

    assert reports.read_processes() is None
    with pytest.raises(BrokerUnavailable):
        reports.broker_facts()


def test_a_replica_with_a_gpu_reports_its_utilization(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    utilization = iter([0.75, None])
    jobs = Busy()
    jobs.begin(Use(Purpose.JOB))
    presence = Presence(pool, "replica", client, Busy(), jobs, gpu_busy=lambda: next(utilization))

    presence.beat()
    assert read(redis.url, pool).replicas["replica"].busy == 0.75

    presence.beat()  # if unknown, the share of time spent working
    assert read(redis.url, pool).replicas["replica"].busy != 0.75


def test_a_replica_that_leaves_is_removed_at_once_and_reports_no_more(
    redis: Server, client: "redis_py.Redis", pool: str
) -> None:
    presence = Presence(pool, "replica", client, Busy(), Busy())
    presence.beat()

    presence.leave(b"wakeup")
    presence.beat()

    assert read(redis.url, pool).replicas == {}
    assert client.smembers(redis_keys.departed(pool)) == {b"replica"}
    assert client.llen(redis_keys.wakeups(pool)) == 0


def test_a_replica_that_leaves_wakes_another_for_waiting_batches(client: "redis_py.Redis", pool: str) -> None:
    client.rpush(redis_keys.batches(pool), b"batch")

    Presence(pool, "replica", client, Busy(), Busy()).leave(b"wakeup")

    assert client.lrange(redis_keys.wakeups(pool), 0, -1) == [b"wakeup"]


def test_a_replica_is_told_whether_it_is_cordoned(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    # given
    cordoned: list[bool] = []
    presence = Presence(pool, "replica", client, Busy(), Busy(), cordoned.append)
    publisher = RedisCordon(BrokerSettings.model_validate({"url": redis.url}))

    # when
    presence.beat()
    for name in (f"{socket.gethostname()}:{os.getpid()}", f"{socket.gethostname()}:0", socket.gethostname()):
        publisher.publish({pool: {name}})  # type: ignore[dict-item]
        presence.beat()
    publisher.publish({})
    presence.beat()

    # then
    assert cordoned == [False, True, False, True, False]


def test_a_replica_without_recent_heartbeats_is_removed(redis: Server, client: "redis_py.Redis", pool: str) -> None:
    # given two replicas, one of which has sent no heartbeat for too long
    for name in ("present", "lost"):
        Presence(pool, name, client, Busy(), Busy()).beat()
    client.zincrby(redis_keys.replicas(pool), -redis_keys.PRESENCE_TTL_S, "lost")

    assert read(redis.url, pool).replicas.keys() == {"present"}

    # and its report is deleted
    assert client.hkeys(redis_keys.reports(redis_keys.replicas(pool))) == [b"present"]


def test_during_an_outage_there_are_no_reports() -> None:
    settings = BrokerSettings.model_validate({"url": f"redis://127.0.0.1:{free_port()}/0"})

    assert RedisReports(settings).read() is None


async def test_a_gateway_reports_its_first_waiting_request_at_once(
    redis: Server, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a gateway that has sent its first heartbeat, and no second one is due
    monkeypatch.setattr(redis_channel, "WATCH_S", 3600.0)
    async with batcher(pool, redis.url) as client:
        await _until(redis.url, pool, lambda report: report.waiting == 0)

        waiting = asyncio.create_task(ask(client, "hello", TIMEOUT_S))

        await _until(redis.url, pool, lambda report: report.waiting == 1)
        assert not waiting.done()
        waiting.cancel()


async def test_a_gateway_reports_that_a_request_no_longer_waits(redis: Server, pool: str) -> None:
    async with batcher(pool, redis.url) as client:
        waiting = asyncio.create_task(ask(client, "hello", 3.0))
        await _until(redis.url, pool, lambda report: report.waiting == 1)

        with pytest.raises(DeadlineExceeded):
            await waiting

        await _until(redis.url, pool, lambda report: report.waiting == 0)


async def _until(url: str, pool: str, condition: Callable[[GatewayReport], bool]) -> None:
    """Wait until a gateway's report meets the condition."""
    async with asyncio.timeout(TIMEOUT_S):
        while not any(map(condition, (await asyncio.to_thread(read, url, pool)).gateways.values())):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
