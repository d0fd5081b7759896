"""Predictions and wake-up messages while Sentinels move the master, and while a master becomes a replica."""

from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from contract.errors import BrokerUnavailable
from contract.jobs import JobKind
from messaging import redis_keys
from messaging.broker import Broker, celery_app
from messaging.pipe import Pipe
from messaging.redis_address import redis_client
from messaging.settings import BrokerSettings
from tests.integration.worker.echo_client import ask, replica, until_answered
from tests.support.batcher import batcher
from tests.support.sentinels import redis_with_sentinels
from tests.support.servers import free_port, redis_server

pytestmark = pytest.mark.anyio


async def test_predictions_and_messages_continue_after_the_master_is_lost(tmp_path: Path) -> None:
    with redis_with_sentinels(tmp_path) as sentinels, replica(sentinels.url, tmp_path / "replica.log"):
        first = sentinels.master()
        broker = Broker(celery_app(BrokerSettings.model_validate({"url": sentinels.url})))
        async with batcher("echo", sentinels.url) as gateway:
            # given a gateway, a replica and a sender that use the first master
            assert await until_answered(gateway) is not None
            broker.wake(JobKind.TRAIN, "job-1")

            # when that server dies
            sentinels.servers[first].kill()

            # then predictions are answered through the other one, without a restart
            await until_answered(gateway)
            assert await ask(gateway, "again") == "niaga"
        broker.wake(JobKind.TRAIN, "job-2")

        second = sentinels.master()
        assert second != first
        assert sentinels.client(second).llen("trainer") >= 1


async def test_a_connection_leaves_a_master_that_becomes_a_replica(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        client: Any = redis_client(server.url, timeout_s=2)
        pipe = await Pipe.open(server.url)
        presence = redis_keys.replicas("echo")
        await pipe.execute("SET", "key", "value")
        client.set("key", "value")
        connected = client.client_id()

        redis_py.Redis.from_url(server.url).replicaof("127.0.0.1", free_port())

        for command in (
            lambda: client.set("key", "value"),
            lambda: client.eval(redis_keys.BEAT, 2, presence, redis_keys.reports(presence), "name", "report"),
        ):
            with pytest.raises(redis_py.ConnectionError):
                command()
        assert client.client_id() != connected
        with pytest.raises(BrokerUnavailable):
            await pipe.execute("SET", "key", "value")
        assert pipe.broken.done()


async def test_without_a_sentinel_the_broker_is_unavailable() -> None:
    url = f"sentinel://:secret@127.0.0.1:{free_port()},127.0.0.1:{free_port()}/tidepool"

    with pytest.raises(BrokerUnavailable):
        await Pipe.open(url)
    with pytest.raises(BrokerUnavailable):
        Broker(celery_app(BrokerSettings.model_validate({"url": url}))).wake(JobKind.TRAIN, "job-1")
    with pytest.raises(redis_py.ConnectionError):
        redis_client(url, timeout_s=1).ping()
