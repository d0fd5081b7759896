"""How an attempt lives through an outage of the stores: it tries again for a while, and still obeys."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from contract.artifacts import Bucket, ObjectRef
from contract.errors import DatabaseUnavailable, ObjectsUnavailable
from services.storage.objects import Objects

PATIENCE_S = 120.0
PAUSE_S = 1.0

T = TypeVar("T")


def retry_outages(act: Callable[[], T], obey: Callable[[], None] = lambda: None) -> T:
    """Do something that may be done twice; raises the outage after PATIENCE_S, or whatever `obey` raises meanwhile."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return act()
        except (DatabaseUnavailable, ObjectsUnavailable):
            if time.monotonic() > until:
                raise
        obey()
        time.sleep(PAUSE_S)


class RetryingObjects:
    """An object store whose outages pass."""

    def __init__(self, objects: Objects, obey: Callable[[], None]) -> None:
        self._objects = objects
        self._obey = obey

    def put(self, bucket: Bucket, key: str, source: Path | bytes) -> ObjectRef:
        return retry_outages(lambda: self._objects.put(bucket, key, source), self._obey)

    def put_stream(self, bucket: Bucket, key: str, stream: BinaryIO) -> ObjectRef:
        def put() -> ObjectRef:
            stream.seek(0)
            return self._objects.put_stream(bucket, key, stream)

        return retry_outages(put, self._obey)

    def read(self, ref: ObjectRef) -> bytes:
        return retry_outages(lambda: self._objects.read(ref), self._obey)

    def fetch(self, ref: ObjectRef, path: Path) -> None:
        retry_outages(lambda: self._objects.fetch(ref, path), self._obey)
