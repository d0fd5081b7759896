"""Bells for real: a Celery worker process, over Redis."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from contract.jobs import JobKind
from runtime.broker import Broker, celery_app
from runtime.settings import BrokerSettings
from tests.integration.runtime.echo_worker import wait_for
from tests.servers import Server, redis_server


@contextmanager
def worker(server: Server) -> Iterator[None]:
    """A worker process, until the end of the block."""
    command = [sys.executable, "-m", "tests.integration.runtime.bell_worker"]
    process = subprocess.Popen(command, env=os.environ | {"TIDEPOOL_BROKER_URL": server.url})
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def test_a_busy_worker_leaves_the_other_bells_to_others(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        # given a worker with a job
        app = celery_app(BrokerSettings.model_validate({"url": server.url}))
        broker, client = Broker(app), redis.Redis.from_url(server.url)
        with worker(server):
            broker.ring(JobKind.PREPROCESS, f"{tmp_path}/released")
            wait_for(tmp_path / "busy")

            # when there are more, and the worker has had a look at what is new
            broker.ring(JobKind.PREPROCESS, f"{tmp_path}/released")
            broker.ring(JobKind.PREPROCESS, f"{tmp_path}/released")
            assert app.control.inspect(timeout=10, limit=1).ping()

            # then it took none of them
            assert client.llen("preprocess") == 2
            (tmp_path / "released").touch()


def test_bells_ring_again_after_redis_lost_everything(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        broker = Broker(celery_app(BrokerSettings.model_validate({"url": server.url})))
        client = redis.Redis.from_url(server.url)
        broker.ring(JobKind.TRAIN, "job-1")

        client.flushall()
        broker.ring(JobKind.TRAIN, "job-2")

        assert client.llen("trainer") == 1
