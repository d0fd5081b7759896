"""A worker sends heartbeats to its own private queue, and exits if it stops consuming them."""

import os
import threading
import time
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

from contract.errors import BrokerUnavailable

BEAT_S = 10.0
DEAF_S = 45.0  # without consuming a heartbeat; with the restart, a deaf worker is back in under a minute
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h; the supervisor restarts the worker

AGE = Gauge("tidepool_heartbeat_age_seconds", "Seconds since this worker last consumed its own heartbeat.")

log = structlog.get_logger()


class Heartbeat:
    """Detects a deaf worker: one that runs but has consumed no heartbeat for DEAF_S seconds.

    If a heartbeat cannot be sent, as in an outage of Redis, the worker does not count as deaf.
    """

    def __init__(self, send: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._consumed_at = clock()
        AGE.set_function(lambda: clock() - self._consumed_at)

    def hear(self) -> None:
        """Record that the worker has consumed a heartbeat."""
        self._consumed_at = self._clock()

    def beat(self) -> bool:
        """Send a heartbeat; False if the worker is deaf."""
        try:
            self._send()
        except BrokerUnavailable:
            self.hear()
        return self._clock() - self._consumed_at < DEAF_S

    def start(self) -> None:
        """Send heartbeats from a daemon thread, which ends the process when the worker is deaf."""
        threading.Thread(target=self._until_deaf, daemon=True).start()

    def _until_deaf(self) -> None:
        while self.beat():
            time.sleep(BEAT_S)
        log.error("the worker consumes no messages; exiting to be restarted")
        os._exit(EXIT_CODE)
