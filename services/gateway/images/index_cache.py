"""Keeps indexes of images on disk, because an index is read for every page and every thumbnail."""

import tempfile
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from contract.artifacts import ObjectRef
from services.storage.objects import Objects

UNUSED_S = 3600.0


class IndexCache:
    """Indexes fetched from the object store, whose hash is checked, in a temporary folder of at most `most_bytes`.

    The least recently used go first; the newest stays even if it is larger. Those that are not used for UNUSED_S go at
    the next use of the cache, because an erasure may have replaced them. Safe to use from several threads.
    """

    def __init__(self, objects: Objects, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._objects = objects
        self._most_bytes = most_bytes
        self._clock = clock
        self._used_at: dict[str, float] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="indexes-", ignore_cleanup_errors=True)
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()
        self._fetching: dict[str, threading.Lock] = {}

    def open(self, ref: ObjectRef) -> BinaryIO:
        """Return an index as an open file, which stays readable after it has left the cache.

        Raises ObjectsUnavailable, Corrupt.
        """
        with self._lock:
            self._drop_unused()
            fetching = self._fetching.setdefault(ref.sha256, threading.Lock())
        try:
            with fetching:  # others that want the same index wait for it, instead of fetching it too
                return self._open(ref.sha256) or self._fetch(ref)
        finally:
            with self._lock:
                self._fetching.pop(ref.sha256, None)

    def _fetch(self, ref: ObjectRef) -> BinaryIO:
        path = self._path(uuid.uuid4().hex)
        self._objects.fetch(ref, path)
        path.replace(self._path(ref.sha256))
        file = self._path(ref.sha256).open("rb")
        self._add(ref)
        return file

    def _open(self, name: str) -> BinaryIO | None:
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
            self._used_at[name] = self._clock()
            return self._path(name).open("rb")

    def _add(self, ref: ObjectRef) -> None:
        with self._lock:
            self._sizes[ref.sha256] = ref.size
            self._used_at[ref.sha256] = self._clock()
            while sum(self._sizes.values()) > self._most_bytes and len(self._sizes) > 1:
                self._drop_oldest()

    def _drop_unused(self) -> None:
        while self._sizes and self._used_at[next(iter(self._sizes))] < self._clock() - UNUSED_S:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest, _ = self._sizes.popitem(last=False)
        del self._used_at[oldest]
        self._path(oldest).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(self._folder.name, name)
