"""Decodes the images of a part in blocks, which are measured at once."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing

from contract.images import ImageSpec
from media.archives.decoding import decoded
from media.images import DecodedImage
from worker.originals import Originals

_BLOCK_BYTES = 2**21  # of pixels
_BLOCK_IMAGES = 256
_STEP_S = 0.2

OnStep = Callable[[float, str], None]


def decoded_blocks(
    originals: Originals, spec: ImageSpec, on_step: OnStep, *, strict: bool = False
) -> Iterator[tuple[int, list[DecodedImage | str]]]:
    """Yield the images in order, in blocks with the number of the first; a string is the reason for a rejection.

    `on_step(fraction, message)` is called about every 0.2 s; its exceptions pass through.
    """
    progress = _Progress(len(originals.paths), on_step)
    block: list[DecodedImage | str] = []
    size = first = 0
    with closing(decoded(originals.paths, originals, spec, strict=strict)) as results:
        for _, result in results:
            block.append(result)
            size += 0 if isinstance(result, str) else result.pixels.nbytes
            progress.step()
            if size >= _BLOCK_BYTES or len(block) >= _BLOCK_IMAGES:
                yield first, block
                first += len(block)
                block, size = [], 0
    if block:
        yield first, block
    on_step(1.0, f"{len(originals.paths)} images prepared")


class _Progress:
    """Counts images and reports at most every 0.2 s, so that reporting costs next to nothing."""

    def __init__(self, total: int, on_step: OnStep) -> None:
        self._total = total
        self._done = 0
        self._on_step = on_step
        self._due = time.monotonic()

    def step(self) -> None:
        self._done += 1
        if time.monotonic() >= self._due:
            self._on_step(self._done / self._total, f"{self._done} of {self._total} images")
            self._due = time.monotonic() + _STEP_S
