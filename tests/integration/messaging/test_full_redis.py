"""A worker outlives a Redis that refuses writes, and receives messages again without help."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis as redis_py

from contract.jobs import JobKind
from messaging.broker import Broker, celery_app
from messaging.settings import BrokerSettings
from tests.support.servers import Server, redis_server

TIMEOUT_S = 40.0
CONSUMER = """
from messaging.broker import celery_app, consume
from messaging.celery_transport import RUN_JOB
from messaging.settings import BrokerSettings

def run(job):
    print("received", job)

consume(celery_app(BrokerSettings()), ["trainer", "trainer.private"], {RUN_JOB: run})
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def admin(server: Server) -> Iterator[Any]:
    with redis_py.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def worker(server: Server, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker, which writes to `worker.log`."""
    environment = os.environ | {"TIDEPOOL_BROKER_URL": server.url, "PYTHONUNBUFFERED": "1"}
    with (tmp_path / "worker.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", CONSUMER], env=environment, stdout=log, stderr=log)
    yield process
    process.kill()
    process.wait()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_outlives_a_redis_without_memory(
    server: Server, admin: Any, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    broker = Broker(celery_app(BrokerSettings.model_validate({"url": server.url})))

    def received(job: str) -> bool:
        return job in (tmp_path / "worker.log").read_text()

    broker.wake(JobKind.TRAIN, "job-1")
    until(lambda: received("job-1"))

    # when Redis refuses writes, and the worker has to connect again
    admin.config_set("maxmemory", 1)
    for connection in admin.client_list():
        if int(connection["id"]) != admin.client_id():
            admin.client_kill_filter(_id=connection["id"])
    until(lambda: (tmp_path / "worker.log").read_text().count("OutOfMemoryError") >= 2)

    # then it waits, without working on it all the time
    used = sum(psutil.Process(worker.pid).cpu_times()[:2])
    time.sleep(4)
    assert worker.poll() is None
    assert sum(psutil.Process(worker.pid).cpu_times()[:2]) - used < 1

    # and receives messages when Redis accepts them again
    admin.config_set("maxmemory", 0)
    broker.wake(JobKind.TRAIN, "job-2")
    until(lambda: received("job-2"))
    assert worker.poll() is None
