"""Decodes many images of an archive in parallel, in order."""

import os
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from contract.errors import BadImage
from contract.images import ImageSpec
from media.archives.limits import MIB, Limits
from media.images import DecodedImage, decode_image

_MOST_THREADS = 4  # each may hold one image of Limits.pixels
_BATCH_BYTES = MIB  # of files, or of pixels
_BATCH_IMAGES = 64  # a small image is too little work for a task of its own


class Files(Protocol):
    """Files by name, such as an archive."""

    @property
    def limits(self) -> Limits: ...

    def read(self, name: str) -> bytes:
        """Return the file's bytes; raises BadImage if the file is rejected, BadArchive if the whole archive is."""


Read = tuple[str, bytes | str]
Decoded = tuple[str, DecodedImage | str]


def decoded(
    names: Iterable[str], archive: Files, spec: ImageSpec, *, strict: bool = False
) -> Generator[Decoded, None, None]:
    """Yield each file's name with its image, or with the reason for its rejection.

    Files are read and inflated in the caller's thread, so that limits apply in a fixed order, and decoded in a few
    others, where libjpeg-turbo and Pillow release the GIL. `strict` rejects images that are cut off instead of
    repairing them. Raises BadArchive if the whole archive is rejected.
    """
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    pending: deque[Future[list[Decoded]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for batch in _batches(names, archive, spec):
            pending.append(pool.submit(_decoded_batch, batch, spec, archive.limits.pixels, strict))
            if len(pending) > threads:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(names: Iterable[str], archive: Files, spec: ImageSpec) -> Iterator[list[Read]]:
    channels, height, width = spec.shape
    most = max(1, min(_BATCH_IMAGES, _BATCH_BYTES // (channels * height * width)))
    batch: list[Read] = []
    size = 0
    for name in names:
        try:
            data = archive.read(name)
        except BadImage as error:
            batch.append((name, error.message))
        else:
            batch.append((name, data))
            size += len(data)
        if len(batch) >= most or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _decoded_batch(batch: list[Read], spec: ImageSpec, max_pixels: int, strict: bool) -> list[Decoded]:
    return [(name, data if isinstance(data, str) else _image(data, spec, max_pixels, strict)) for name, data in batch]


def _image(data: bytes, spec: ImageSpec, max_pixels: int, strict: bool) -> DecodedImage | str:
    try:
        return decode_image(data, spec, strict=strict, max_pixels=max_pixels)
    except BadImage as error:
        return error.message
