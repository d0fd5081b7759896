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
    "GIF": encoded(noise(4, 6), "GIF"),
    "TIFF": encoded(noise(4, 6), "TIFF", compression="tiff_lzw"),
    "AVIF": encoded(noise(4, 6), "AVIF"),
    "JPEG 2000": encoded(noise(4, 6), "JPEG2000"),
}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(encoded(noise(64, 64), "JPEG")[:1500], "cut off after 22 of its 64 rows", id="cut JPEG"),
        pytest.param(encoded(noise(64, 64))[:1500], "cut off after 7 of its 64 rows", id="cut PNG"),
        pytest.param(encoded(noise(64, 64), "BMP")[:1500], "cut off after 7 of its 64 rows", id="cut BMP"),
        pytest.param(encoded(noise(64, 64), "GIF")[:1500], "damaged or cut off", id="cut GIF"),
        pytest.param(encoded(noise(64, 64), "TIFF")[:1500], "damaged", id="cut TIFF"),
        pytest.param(encoded(noise(64, 64), "AVIF")[:400], "damaged", id="cut AVIF"),
        pytest.param(encoded(noise(64, 64), "JPEG2000")[:50], "damaged", id="cut JPEG 2000"),
        pytest.param(encoded(noise(64, 64), "WEBP")[:1500], "damaged", id="cut WebP"),
    ],
)
def test_a_file_that_is_cut_off_is_rejected(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(data, SMALL)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(100), "the file is all zeros; download the image again"),
        (b"hello, this is text", "text; leave it out"),
        (b"\xef\xbb\xbf<!DOCTYPE html><html>", "an HTML page; download the image again"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing; convert it"),
        (b"%PDF-1.7\n", "a PDF; save its pages as JPEG or PNG"),
        (b"8BPS\0\1", "a Photoshop file; convert it to JPEG or PNG"),
        (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "an MP4 or QuickTime video; save frames of it"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a raw photo .CR3.; develop it and save it as JPEG"),
        (b"FUJIFILMCCD-RAW 0201", "a raw photo .RAF.; develop it"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image; convert it"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (b"\0\5\x16\7\0\2\0\0Mac OS X", "metadata of macOS"),
        (b"\x89\1\2\3", "its format is unknown; convert it to JPEG or PNG"),
    ],
)
def test_a_file_that_is_not_an_image_is_rejected_with_what_it_is(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=f"not a readable image: {reason}"):
        decode(data, SMALL)


def test_missing_palette_is_rejected() -> None:
    file = encoded(Image.fromarray(noise(4, 6)).quantize(8))
    start = file.index(b"PLTE") - 4
    length = struct.unpack(">I", file[start : start + 4])[0] + 12

    with pytest.raises(BadImage, match="no palette"):
        decode(file[:start] + file[start + length :], SMALL)


def test_huge_image_is_rejected_by_its_header() -> None:
    with pytest.raises(BadImage, match="30000 x 30000 pixels; the limit is 134217728 in all"):
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
