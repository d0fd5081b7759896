"""Runs replicas of the services as processes, on real servers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from messaging.broker import Broker, celery_app
from messaging.settings import BrokerSettings
from services.storage.database import Database
from services.storage.objects import S3Objects
from services.storage.stores import Stores
from services.storage.sweep.reconciler import Reconciler
from tests.support.servers import S3Server, Server, service_environment

TIMEOUT_S = 90.0


class Replicas:
    """Replicas on one set of servers; clients use `settings` and `stores`."""

    def __init__(self, database: Database, objects: S3Objects, redis: Server, s3: S3Server, scratch: Path) -> None:
        self.settings = BrokerSettings.model_validate({"url": redis.url})
        self.stores = Stores(database, objects)
        self._scratch = scratch
        self._processes: list[subprocess.Popen[bytes]] = []
        servers = service_environment(str(database.engine.url), redis, s3)
        self._environment = os.environ | servers | {"TIDEPOOL_SCRATCH": str(scratch)}

    def start(self, service: str, **environment: str) -> None:
        """Start another replica of a service."""
        with (self._scratch / f"replica-{len(self._processes)}.log").open("wb") as log:
            command = [sys.executable, "-m", f"services.{service}.main"]
            process = subprocess.Popen(command, env=self._environment | environment, stdout=log, stderr=log)
        self._processes.append(process)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(30)

    @contextmanager
    def swept(self) -> Iterator[None]:
        """Relay wake-up messages during the block."""
        broker, over = Broker(celery_app(self.settings)), threading.Event()

        def relay() -> None:
            while not over.wait(0.1):
                Reconciler(self.stores.database).relay(broker.wake)

        thread = threading.Thread(target=relay)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition; fails with the replicas' logs after TIMEOUT_S."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition():
            assert time.monotonic() < deadline, [log.read_text()[-2000:] for log in self._scratch.glob("replica-*.log")]
            time.sleep(0.05)
