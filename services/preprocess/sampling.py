"""Looks at some images of an archive before it is prepared: their sizes, and whether they have colour."""

from collections.abc import Callable
from contextlib import suppress

import numpy as np

from contract.errors import BadImage
from contract.images import ImageSpec
from media.headers import Header, read_header
from media.images import decode
from services.preprocess.decisions import Sample

MOST_SAMPLED = 2000
MOST_DECODED = 200  # of the images that may have colour although it is not seen in their headers
GREY_TOLERANCE = 3  # levels between the channels of a grey image that lossy compression has stored as colour
_HEAD_BYTES = 1 << 17  # of a file; enough for the header unless there is much metadata before it
_LOOK = ImageSpec(size=(64, 64))

Head = Callable[[int, int | None], bytes]


def sample_images(count: int, read: Head) -> Sample:
    """Look at up to MOST_SAMPLED of `count` images, evenly spread.

    `read(number, most)` returns an image's bytes, or the first `most` of them; images that it rejects with BadImage or
    that have no readable header are passed over.
    """
    numbers = np.unique(np.linspace(0, count - 1, min(count, MOST_SAMPLED)).astype(int)).tolist() if count else []
    sizes: list[tuple[int, int]] = []
    unclear: list[int] = []
    for number in numbers:
        header = _header(number, read)
        if header is not None:
            sizes.append((header.width, header.height))
            if not header.grey:
                unclear.append(number)
    step = max(1, len(unclear) // MOST_DECODED)
    grey = all(_is_grey(number, read) for number in unclear[::step])
    return Sample(np.array(sizes, np.int64).reshape(-1, 2), grey and bool(sizes), count)


def _header(number: int, read: Head) -> Header | None:
    for most in (_HEAD_BYTES, None):
        with suppress(BadImage):
            return read_header(read(number, most))
    return None


def coloured(pixels: np.ndarray) -> np.ndarray:
    """Return for each image, uint8 (count, 3, height, width), whether it has colour."""
    spread = pixels.max(axis=1) - pixels.min(axis=1)
    return np.asarray(spread.max(axis=(1, 2)) > GREY_TOLERANCE)


def _is_grey(number: int, read: Head) -> bool:
    try:
        return not coloured(decode(read(number, None), _LOOK)[None])[0]
    except BadImage:
        return True
