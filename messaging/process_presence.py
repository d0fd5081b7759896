"""Publishes to Redis that a storage process or an autoscaler runs, for the health report."""

import os
import socket
import time
from typing import Any

import msgspec

from contract import __version__
from contract.reports import ProcessReport
from messaging import redis_keys
from messaging.presence import Reporter
from messaging.redis_address import redis_client
from messaging.settings import BrokerSettings

TIMEOUT_S = 2.0


class ProcessPresence(Reporter):
    """Sends a report every second; `passed` records that the process's loop finished a pass.

    A broker that is away, or whose user is of an older release, only delays the reports.
    """

    def __init__(self, role: str, settings: BrokerSettings) -> None:
        presence = redis_keys.processes(role)
        self._keys = (presence, redis_keys.reports(presence))
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        url = settings.url.get_secret_value()
        self._client: Any = redis_client(url, TIMEOUT_S)
        self._passed_at = time.monotonic()

    def passed(self) -> None:
        self._passed_at = time.monotonic()

    def beat(self) -> None:
        """Send a report; raises redis.RedisError."""
        report = ProcessReport(__version__, time.monotonic() - self._passed_at)
        self._client.eval(redis_keys.RECORD, len(self._keys), *self._keys, self._name, msgspec.json.encode(report))
