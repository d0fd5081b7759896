"""`decode_plain` gives the pixels that Pillow gives, or None."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode, decode_plain, decoding
from tests.support.images import encoded, noise

SIZE = (37, 29)
SPEC = ImageSpec(size=SIZE)
SMOOTH = Image.fromarray(noise(5, 4)).resize(SIZE[::-1], Image.Resampling.BICUBIC)
JPEG = encoded(SMOOTH, "JPEG")


def with_pillow(data: bytes, spec: ImageSpec = SPEC) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "decode_plain", lambda *_: None)
        return decode(data, spec)


@pytest.mark.parametrize("image", [SMOOTH, Image.fromarray(noise(*SIZE))], ids=["smooth", "noise"])
@pytest.mark.parametrize("quality", [1, 30, 75, 95, 100])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "restart_marker_blocks": 1}])
def test_the_pixels_equal_those_of_pillow(
    image: Image.Image, quality: int, subsampling: str, options: dict[str, Any]
) -> None:
    data = encoded(image, "JPEG", quality=quality, subsampling=subsampling, **options)

    pixels = decode_plain(data, SPEC)

    assert pixels is not None
    assert (pixels.dtype.name, pixels.shape, pixels.flags.c_contiguous) == ("uint8", (3, *SIZE), True)
    np.testing.assert_array_equal(pixels, with_pillow(data))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (16, 17), (224, 224)])
def test_any_size_gives_the_same_pixels(size: tuple[int, int]) -> None:
    spec = ImageSpec(size=size)
    data = encoded(noise(*size), "JPEG")

    np.testing.assert_array_equal(decode_plain(data, spec), with_pillow(data, spec))


def _rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"not an image",
        encoded(SMOOTH, "PNG"),
        encoded(SMOOTH, "JPEG", exif=_rotated()),
        encoded(SMOOTH, "JPEG", xmp=b'<x tiff:Orientation="6"/>'),
        encoded(SMOOTH, "JPEG", keep_rgb=True),
        encoded(SMOOTH.convert("L"), "JPEG"),
        encoded(SMOOTH.convert("CMYK"), "JPEG"),
        encoded(SMOOTH.transpose(Image.Transpose.ROTATE_90), "JPEG"),
        encoded(SMOOTH.resize((100, 100)), "JPEG"),
        JPEG[: len(JPEG) // 2],
        JPEG[:-2],
    ],
    ids=["empty", "start", "text", "png", "exif", "xmp", "rgb", "grey", "cmyk", "turned", "large", "half", "no end"],
)
def test_other_files_are_left_to_pillow(data: bytes) -> None:
    assert decode_plain(data, SPEC) is None


def test_a_grey_spec_is_left_to_pillow() -> None:
    assert decode_plain(JPEG, ImageSpec(size=SIZE, mode="L")) is None


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(2, len(JPEG) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_file_has_the_same_outcome_as_with_pillow(changes: list[tuple[int, int]]) -> None:
    data = bytearray(JPEG)
    for place, byte in changes:
        data[place] = byte

    assert outcome(decode, bytes(data)) == outcome(with_pillow, bytes(data))


def outcome(decode: Any, data: bytes) -> bytes | str:
    try:
        pixels: bytes = decode(data, SPEC).tobytes()
    except BadImage as error:
        return error.message
    return pixels
