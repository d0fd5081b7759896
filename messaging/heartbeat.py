"""Proof that a worker consumes: it rings its own private queue, and leaves if it does not hear that."""

import os
import threading
import time
from collections.abc import Callable

import structlog
from prometheus_client import Gauge

from contract.errors import BrokerUnavailable

BEAT_S = 10.0
DEAF_S = 45.0  # since the last beat that was heard; with the restart that is under a minute
EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: whoever supervises starts it again

HEARD = Gauge("tidepool_heartbeat_age_seconds", "Since this worker last heard a beat that it sent itself.")

log = structlog.get_logger()


class Heartbeat:
    """Counts how long ago the worker was seen to consume.

    A beat that could not be sent says nothing about the worker: while Redis is away, it is not deaf.
    """

    def __init__(self, send: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._clock = clock
        self._heard = clock()
        HEARD.set_function(lambda: clock() - self._heard)

    def hear(self) -> None:
        """The worker has consumed a beat."""
        self._heard = self._clock()

    def beat(self) -> bool:
        """Send a beat; whether the worker is alive."""
        try:
            self._send()
        except BrokerUnavailable:
            self.hear()
        return self._clock() - self._heard < DEAF_S

    def start(self) -> None:
        """Beat from a thread for as long as the process lives, and end the process when it is deaf."""
        threading.Thread(target=self._until_deaf, daemon=True).start()

    def _until_deaf(self) -> None:
        while self.beat():
            time.sleep(BEAT_S)
        log.error("this worker lives but does not consume; it leaves, to be started again")
        os._exit(EXIT_CODE)
