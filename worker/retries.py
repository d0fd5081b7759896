"""Retries of database and object store calls during an outage, interrupted by a request to stop."""

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
    """An object store whose calls are retried during outages."""

    def __init__(self, objects: Objects, check_stop: Callable[[], None]) -> None:
        self._objects = objects
        self._check_stop = check_stop

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        return retry_outages(lambda: self._objects.put(bucket, key, source), self._check_stop)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        def put() -> ObjectRef:
            stream.seek(0)
            return self._objects.put_stream(bucket, key, stream)

        return retry_outages(put, self._check_stop)

    def read(self, ref: ObjectRef) -> bytes:
        return retry_outages(lambda: self._objects.read(ref), self._check_stop)

    def read_range(self, ref: ObjectRef, span: ByteRange) -> bytes:
        return retry_outages(lambda: self._objects.read_range(ref, span), self._check_stop)

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        retry_outages(lambda: self._objects.fetch(ref, path), self._check_stop)
