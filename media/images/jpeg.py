"""JPEG files: decoding at reduced scale, limits on scans, and the repair of files that are cut off."""

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from contract.errors import BadImage
from media.images.jpeg_scans import SCAN_START, check_header, whole_rows
from media.images.source import DAMAGE, Request, Source, check_rows, loaded, opened

_END = b"\xff\xd9"
_MOST_SCANS = 16  # passes over all blocks of the largest image; encoders write 10
_REDUCED = 4  # a baseline JPEG may have four times `max_pixels`
SLOW = 5 * 10**10  # bytes times pixels; a file of scans of 12 bytes takes over a second above it
_FILLER = bytes(byte for byte in np.random.default_rng(7).bytes(4096) if byte != 0xFF)


def jpeg_source(data: bytes, request: Request) -> Source:
    """Return a JPEG, decoded at the smallest of the scales 1/8, 1/4, 1/2 and 1 that keeps its sides.

    A file that is cut off in its last tenth is decoded as by Pillow with LOAD_TRUNCATED_IMAGES, and counts as repaired.
    """
    check_header(data)
    image = _open(data)
    width, height = image.size
    single = _has_one_scan(image, data)
    if not single and data.count(SCAN_START) * width * height > _MOST_SCANS * request.max_pixels:
        raise BadImage("the JPEG has too many scans for its size; save it as a baseline JPEG")
    scale = _scale(width, height, request)
    reduced = -(-width // scale) * -(-height // scale)
    # libjpeg stores the coefficients of the whole image if there are several scans.
    keeps_all = not single or width * height > _REDUCED * request.max_pixels
    cost = width * height if keeps_all else reduced

    def load() -> tuple[Image.Image, bool]:
        try:
            return _load(image, scale), False
        except BadImage:
            return _load(_repaired(data, width, height, single, request), scale), True

    return Source(width, height, cost, load)


def _open(data: bytes) -> JpegImageFile:
    image = opened(JpegImageFile, data)
    if not image.tile:
        raise BadImage("the JPEG image's header is damaged")
    return image


def _has_one_scan(image: JpegImageFile, data: bytes) -> bool:
    """Return whether the first scan holds all components; libjpeg then stops after it and stores no coefficients."""
    if "progressive" in image.info or image.fp is None:
        return False
    start = image.fp.tell() - 2 * image.layers - 8
    return start >= 0 and data[start : start + 2] == SCAN_START and data[start + 4] == image.layers


def _scale(width: int, height: int, request: Request) -> int:
    """Return the divisor for libjpeg: the sides stay at least `request.side`, or half of it in an oversized image."""
    side = request.side
    for least in (side, max(1, side // 2)):
        ratio = min(width, height) // least
        scale = next((step for step in (8, 4, 2) if step <= ratio), 1)
        if -(-width // scale) * -(-height // scale) <= request.max_pixels:
            break
    return scale


def _load(image: JpegImageFile, scale: int) -> Image.Image:
    image.draft(None, (max(1, image.width // scale), max(1, image.height // scale)))
    return loaded(image)


def _repaired(data: bytes, width: int, height: int, single: bool, request: Request) -> JpegImageFile:
    """Return the image with an end marker after what is there; raises BadImage if too little is."""

    def readable(body: bytes) -> int:
        """Return the rows that do not depend on what follows `body`; of the row of blocks at its end, their share.

        Half of the block that the file ends in is counted.
        """
        scale = 8 if single else 1 if width * height <= 2**24 else 2
        first, second = (np.asarray(_load(_open(body + more), scale)) for more in (_END, _FILLER + _END))
        different = (first != second).reshape(*first.shape[:2], -1).any(axis=2)
        if not different.any():
            return height
        row, column = (scale * number for number in divmod(int(different.argmax()), different.shape[1]))
        layers = _open(data).layer if single else [(0, 1, 1, 0)]
        across, down = (8 * max(layer[axis] for layer in layers) for axis in (1, 2))
        return int(row + min(down, height - row) * min(1, (column + across / 2) / width))

    try:
        body, rows = whole_rows(data.rstrip(b"\0").rstrip(b"\xff"), height, readable)
    except DAMAGE as error:
        raise BadImage("the image is damaged or cut off") from error
    check_rows(rows, height, request)
    return _open(body + _END)
