"""Classify many image files: several requests at once, results in the order of the files."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from contract.base import Frozen
from contract.jobs import JobError
from contract.predictions import ImageResult, Prediction

WORKERS = 4  # requests at once
BATCH = 8  # images in one request; results arrive request by request
BATCH_BYTES = 8 << 20  # of one request; a larger image goes alone
MAX_BYTES = 256 << 20  # of a file; a larger one is not read
TRIES = 3  # of an image that fails for a passing reason
PAUSE_S = 1.0
PASSING = {"deadline_exceeded", "overloaded", "broker_unavailable", "unavailable"}

Classify = Callable[[Sequence[bytes]], Sequence[ImageResult]]


class FileResult(Frozen):
    """The predictions for a file, best first, or why it has none."""

    path: str
    predictions: tuple[Prediction, ...] | None = None
    error: JobError | None = None


def classify_files(paths: Sequence[Path], classify: Classify) -> Iterator[FileResult]:
    """Yield the result of each file in order; files that cannot be read or are refused do not stop the others.

    `classify` is called from several threads. What it raises ends the iteration, after the results before it.
    """
    pool = ThreadPoolExecutor(WORKERS)
    pending = deque[Future[list[FileResult]]]()
    try:
        for batch in _batches(paths):
            pending.append(pool.submit(_classify_batch, batch, classify))
            if len(pending) > 2 * WORKERS:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def printable(path: Path) -> str:
    """Return the path as text; bytes that are not UTF-8 are replaced."""
    return os.fsencode(path).decode(errors="replace")


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch, size = list[Path](), 0
    for path in paths:
        length = _size(path)
        if batch and (len(batch) == BATCH or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += length
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _classify_batch(paths: Sequence[Path], classify: Classify) -> list[FileResult]:
    images, results = dict[int, bytes](), dict[int, ImageResult]()
    for index, path in enumerate(paths):
        match _read(path):
            case bytes(image):
                images[index] = image
            case error:
                results[index] = error
    for attempt in range(TRIES):
        if attempt and images:
            time.sleep(PAUSE_S)
        if images:
            results |= zip(images, classify(list(images.values())), strict=True)
        images = {index: image for index, image in images.items() if _may_pass(results[index])}
    return [
        FileResult(path=printable(path), predictions=results[index].predictions, error=results[index].error)
        for index, path in enumerate(paths)
    ]


def _read(path: Path) -> bytes | ImageResult:
    """Return the file's bytes, or the error that says why they cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return _error("too_large", f"the file is larger than {MAX_BYTES >> 20} MiB; make it smaller")
        return path.read_bytes()
    except OSError as error:
        return _error("unreadable", f"the file cannot be read: {error.strerror}")


def _may_pass(result: ImageResult) -> bool:
    return result.error is not None and result.error.code in PASSING


def _error(code: str, message: str) -> ImageResult:
    return ImageResult(error=JobError(code=code, message=message))
