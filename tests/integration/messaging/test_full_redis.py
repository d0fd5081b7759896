"""A worker outlives a Redis that refuses writes, and receives messages again without help."""

import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

from contract.jobs import JobKind
from messaging.broker import Broker, celery_app
from messaging.settings import BrokerSettings
from tests.integration.messaging.conftest import until
from tests.support.servers import Server


def test_a_worker_outlives_a_redis_without_memory(
    server: Server, client: Any, worker: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    broker = Broker(celery_app(BrokerSettings.model_validate({"url": server.url})))

    def received(job: str) -> bool:
        return job in (tmp_path / "worker.log").read_text()

    broker.wake(JobKind.TRAIN, "job-1")
    until(lambda: received("job-1"))

    # when Redis refuses writes, and the worker has to connect again
    client.config_set("maxmemory", 1)
    for connection in client.client_list():
        if int(connection["id"]) != client.client_id():
            client.client_kill_filter(_id=connection["id"])
    until(lambda: (tmp_path / "worker.log").read_text().count("OutOfMemoryError") >= 2)

    # then it waits, without working on it all the time
    used = sum(psutil.Process(worker.pid).cpu_times()[:2])
    time.sleep(4)
    assert worker.poll() is None
    assert sum(psutil.Process(worker.pid).cpu_times()[:2]) - used < 1

    # and receives messages when Redis accepts them again
    client.config_set("maxmemory", 0)
    broker.wake(JobKind.TRAIN, "job-2")
    until(lambda: received("job-2"))
    assert worker.poll() is None
