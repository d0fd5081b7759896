"""Reads members of a stored archive by byte ranges, so that a part of a job fetches only what it needs."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from contract.artifacts import ByteRange
from media.archives.limits import MIB

WINDOW_BYTES = 8 * MIB  # of an archive in memory; a larger member has a window of its own
MOST_GAP = MIB // 4  # a smaller gap between two members is read, too, as a request costs more


class Span(NamedTuple):
    """The bytes from `start` up to but not including `stop`."""

    start: int
    stop: int


class ByteSource(Protocol):
    """An archive whose bytes are read in order of their position, approximately."""

    def read(self, start: int, stop: int) -> memoryview:
        """Return these bytes; they are valid until the next call."""


class LocalFile:
    """An archive on the disk of this attempt, whose hash has been checked."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)

    def read(self, start: int, stop: int) -> memoryview:
        return memoryview(os.pread(self._file.fileno(), stop - start, start))

    def close(self) -> None:
        self._file.close()


class RemoteWindows:
    """An archive in the object store; holds one window of it in memory."""

    def __init__(self, windows: Sequence[ByteRange], fetch: Callable[[ByteRange], bytes]) -> None:
        """`fetch` returns the bytes of a window, checked by its hash; `windows` are sorted and do not overlap."""
        self._windows = windows
        self._fetch = fetch
        self._number = -1
        self._start = 0
        self._data = memoryview(b"")

    def read(self, start: int, stop: int) -> memoryview:
        if not (self._start <= start and stop <= self._start + len(self._data)):
            self._load(start, stop)
        return self._data[start - self._start : stop - self._start]

    def _load(self, start: int, stop: int) -> None:
        number = next(n for n, window in enumerate(self._windows) if window.start <= start and stop <= window.stop)
        self._data = memoryview(b"")  # frees the window before
        window = self._windows[number]
        self._start, self._data = window.start, memoryview(self._fetch(window))


def windows_of(spans: Sequence[Span]) -> Iterator[Span]:
    """Yield windows that cover all spans, which are sorted; each span lies in one window."""
    start, stop = spans[0]
    for span in spans[1:]:
        if span.start - stop > MOST_GAP or span.stop - start > WINDOW_BYTES:
            yield Span(start, stop)
            start, stop = span
        else:
            stop = max(stop, span.stop)
    yield Span(start, stop)


def hashed(path: Path, span: Span) -> ByteRange:
    """Return the range of a file with its hash."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(span.start)
        left = span.stop - span.start
        while left and (chunk := file.read(min(left, MIB))):
            digest.update(chunk)
            left -= len(chunk)
    return ByteRange(start=span.start, stop=span.stop, sha256=digest.hexdigest())
