"""What every image format provides: the size from the header, and a function that decodes the pixels."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from PIL import Image
from PIL.ImageFile import ImageFile

from contract.errors import BadImage

Plugin = TypeVar("Plugin", bound=ImageFile)

KEPT_SHARE = 0.9  # of the rows; an image that is cut off earlier is rejected

# Pillow has no error type for damaged files; its parsers raise any of these.
DAMAGE = (
    OSError,
    EOFError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)

warnings.filterwarnings("ignore", module=r"PIL\.")  # of damaged metadata, once for each file
Image.MAX_IMAGE_PIXELS = None  # media.images has its own limit, which raises; Pillow only warns


class Request(NamedTuple):
    """How an image is needed: formats may reduce it while its sides stay at least `side`."""

    side: int
    max_pixels: int
    strict: bool = False


class Source(NamedTuple):
    """An image file whose header was read; `width` and `height` are as stored.

    `cost` is the memory that `load` needs, in pixels of RGB. `load` returns the image and whether it was repaired;
    raises BadImage. One image that is `alone` is decoded at a time: its memory cannot be told from its header.
    """

    width: int
    height: int
    cost: int
    load: Callable[[], tuple[Image.Image, bool]]
    alone: bool = False


def opened(plugin: type[Plugin], data: bytes) -> Plugin:
    """Read the header; raises BadImage."""
    try:
        return plugin(io.BytesIO(data))
    except DAMAGE as error:
        raise BadImage(f"the {plugin.format} image's header is damaged, or the file is cut off") from error


def loaded(image: ImageFile) -> Image.Image:
    """Decode the pixels; raises BadImage."""
    try:
        image.load()
    except DAMAGE as error:
        raise BadImage("the image is damaged or cut off") from error
    return image


def simple(plugin: type[ImageFile], data: bytes, weight: int = 1) -> Source:
    """Return the source of a format that needs no care of its own; `weight` is its cost for each pixel."""
    image = opened(plugin, data)
    width, height = image.size
    return Source(width, height, width * height * weight, lambda: (loaded(image), False))


def check_rows(rows: int, height: int, request: Request) -> None:
    """Raise BadImage if a file that ends after `rows` of `height` rows must not be repaired."""
    if rows < KEPT_SHARE * height:
        raise BadImage(f"the image is cut off after {rows} of its {height} rows")
    if request.strict:
        raise BadImage(f"the image is cut off after {rows} of its {height} rows; without `strict` it is repaired")
