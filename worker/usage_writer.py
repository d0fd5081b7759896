"""Writes a replica's usage to the ledger, periodically and at its end."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import structlog

from contract.errors import TidepoolError
from contract.usage import Purpose, Use
from messaging.busy import Busy
from services.storage.pools.usage import UsageLedger

WRITE_S = 20.0  # a killed replica loses at most this much usage

log = structlog.get_logger()

READY = Use(Purpose.READY)


class UsageWriter:
    """Adds a replica's seconds to the ledger; seconds that could not be written are added to the next write.

    If the reply to a write is lost, its seconds are counted twice.
    """

    def __init__(
        self,
        pool: str,
        on_gpu: bool,
        ledger: UsageLedger,
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
        """Write every WRITE_S seconds from a daemon thread."""
        threading.Thread(target=self._run, name="usage", daemon=True).start()

    def write(self) -> None:
        """Write the unwritten seconds; during an outage of the database they are kept for the next write."""
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

    def _run(self) -> None:
        while True:
            time.sleep(WRITE_S)
            self.write()
