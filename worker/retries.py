"""Retries of database and object store calls during an outage, interrupted by a request to stop."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.errors import DatabaseUnavailable, ObjectsUnavailable
from services.storage.objects import Objects

RETRY_FOR_S = 120.0
PAUSE_S = 1.0

T = TypeVar("T")


def retry_outages(act: Callable[[], T], check_stop: Callable[[], None] = lambda: None) -> T:
    """Call `act` until it succeeds; `act` must be idempotent.

    Raises the outage after RETRY_FOR_S seconds, or what `check_stop` raises between two tries.
    """
    deadline = time.monotonic() + RETRY_FOR_S
    while True:
        try:
            return act()
        except (DatabaseUnavailable, ObjectsUnavailable):
            if time.monotonic() > deadline:
                raise
        check_stop()
        time.sleep(PAUSE_S)


class RetryingObjects:
    """An object store whose calls are retried during outages.

    Calls in other threads than the one that made it are not: they would take the request to stop from it.
    """

    def __init__(self, objects: Objects, check_stop: Callable[[], None]) -> None:
        self._objects = objects
        self._check_stop = check_stop
        self._thread = threading.get_ident()

    def _retried(self, act: Callable[[], T]) -> T:
        return retry_outages(act, self._check_stop) if threading.get_ident() == self._thread else act()

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        return self._retried(lambda: self._objects.put(bucket, key, source))

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        def put() -> ObjectRef:
            stream.seek(0)
            return self._objects.put_stream(bucket, key, stream)

        return self._retried(put)

    def read(self, ref: ObjectRef) -> bytes:
        return self._retried(lambda: self._objects.read(ref))

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        return self._retried(lambda: self._objects.read_range(ref, span))

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        self._retried(lambda: self._objects.fetch(ref, path))
