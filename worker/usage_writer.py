"""Writes down what a replica was used for, now and then and at its end."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog

from contract.errors import TidepoolError
from contract.usage import Purpose, Use
from messaging.busy import Busy
from services.storage.pools.usage import Ledger

WRITE_S = 20.0  # what a replica that is killed takes along is at most this much

log = structlog.get_logger()

READY = Use(Purpose.READY)


class UsageWriter:
    """Adds a replica's seconds to the ledger; those that could not be written wait for the next time.

    If the reply to a write is lost, its seconds are written twice.
    """

    def __init__(
        self,
        pool: str,
        on_gpu: bool,
        ledger: Ledger,
        busy: Sequence[Busy],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._on_gpu = on_gpu
        self._ledger = ledger
        self._busy = busy
        self._clock = clock
        self._since = clock()
        self._unwritten: dict[Use, float] = defaultdict(float)
        self._lock = threading.Lock()

    def start(self) -> None:
        """Write from a thread for as long as the process lives."""
        threading.Thread(target=self._for_ever, name="accounts", daemon=True).start()

    def write(self) -> None:
        """Write what was not written yet; an outage of the database only delays it."""
        with self._lock:
            now = self._clock()
            self._unwritten[READY] += now - self._since
            self._since = now
            for busy in self._busy:
                for use, seconds in busy.take().items():
                    self._unwritten[use] += seconds
            try:
                self._ledger.add(self._pool, self._on_gpu, self._unwritten)
            except TidepoolError as error:
                log.info("usage not written yet", code=error.code)
            else:
                self._unwritten.clear()

    def _for_ever(self) -> None:
        while True:
            time.sleep(WRITE_S)
            self.write()
