"""Invalid image files raise BadImage with a reason."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode
from tests.support.images import encoded, noise, png_header

SMALL = ImageSpec(size=(4, 6))
FILES = {
    "JPEG": encoded(noise(4, 6), "JPEG"),
    "PNG": encoded(noise(4, 6)),
    "WEBP": encoded(noise(4, 6), "WEBP"),
    "BMP": encoded(noise(4, 6), "BMP"),
}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "not a readable JPEG, PNG, WebP or BMP image", id="empty"),
        pytest.param(b"hello, this is text", "not a readable", id="text"),
        pytest.param(encoded(noise(), "GIF"), "not a readable", id="GIF"),
        pytest.param(encoded(noise(), "TIFF"), "not a readable", id="TIFF"),
        pytest.param(encoded(noise(64, 64), "JPEG")[:1500], "damaged or cut off", id="cut JPEG"),
        pytest.param(encoded(noise(64, 64))[:1500], "damaged or cut off", id="cut PNG"),
        pytest.param(encoded(noise(64, 64), "BMP")[:1500], "damaged or cut off", id="cut BMP"),
        pytest.param(encoded(noise(64, 64), "WEBP")[:1500], "damaged", id="cut WebP"),
    ],
)
def test_a_file_that_is_not_an_image_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(data, SMALL)


def test_missing_palette_is_rejected() -> None:
    file = encoded(Image.fromarray(noise(4, 6)).quantize(8))
    start = file.index(b"PLTE") - 4
    length = struct.unpack(">I", file[start : start + 4])[0] + 12

    with pytest.raises(BadImage, match="no palette"):
        decode(file[:start] + file[start + length :], SMALL)


def test_huge_image_is_rejected_by_its_header() -> None:
    with pytest.raises(BadImage, match="30000 x 30000 pixels; the limit is 67108864"):
        decode(png_header(30000, 30000), SMALL)


def test_the_caller_sets_the_limit() -> None:
    data = encoded(noise(4, 6))

    assert decode(data, SMALL, max_pixels=24).shape == (3, 4, 6)
    with pytest.raises(BadImage, match="6 x 4 pixels"):
        decode(data, SMALL, max_pixels=23)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from(sorted(FILES)), edits=st.dictionaries(st.integers(0, 399), st.integers(0, 255), min_size=1))
def test_a_damaged_file_raises_only_bad_image(kind: str, edits: dict[int, int]) -> None:
    data = bytearray(FILES[kind])
    for place, value in edits.items():
        data[place % len(data)] = value

    try:
        pixels = decode(bytes(data), SMALL, max_pixels=10**6)
    except BadImage:
        return

    assert pixels.shape == (3, 4, 6)
