"""A Redis and a pool of a test's own, and a Celery worker that consumes the queues of the pool `trainer`."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from messaging import cordon, reports
from tests.support.servers import Server, redis_server

TIMEOUT_S = 40.0
QUEUES = ("trainer", "trainer.private")
CONSUMER = f"""
from messaging.broker import celery_app, consume
from messaging.celery_transport import HEAR_BEAT, RUN_JOB
from messaging.settings import BrokerSettings

def run(job):
    print("received " + job)

def hear():
    pass

consume(celery_app(BrokerSettings()), {QUEUES!r}, {{RUN_JOB: run, HEAR_BEAT: hear}})
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with redis_py.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a pool used by one test only."""
    name = f"pool-{uuid.uuid4().hex}"
    for module in (reports, cordon):
        monkeypatch.setattr(module, "POOL_NAMES", (name,))
    return name


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
