"""Wake-up messages on a real Redis."""

from pathlib import Path

import redis

from contract.jobs import JobKind
from messaging.broker import Broker, celery_app
from messaging.settings import BrokerSettings
from tests.support.servers import redis_server


def test_wake_up_messages_work_after_redis_lost_all_data(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        broker = Broker(celery_app(BrokerSettings.model_validate({"url": server.url})))
        client = redis.Redis.from_url(server.url)
        broker.wake(JobKind.TRAIN, "job-1")

        client.flushall()
        broker.wake(JobKind.TRAIN, "job-2")

        assert client.llen("trainer") == 1
