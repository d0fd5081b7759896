"""BMP files: alpha channels that are not used, and run-length encoding."""

import io
import struct
import time

import numpy as np
import pytest
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode
from tests.support.images import noise

SPEC = ImageSpec(size=(4, 6))
PIXELS = noise(4, 6)


def bmp32(header: int, alpha: int, masks: tuple[int, int, int, int]) -> bytes:
    """Make a 32-bit BMP with BI_BITFIELDS; `header` is the size of its header: V3 (56), V4 (108) or V5 (124)."""
    fields = struct.pack("<IiiHHIIiiII", header, 6, 4, 1, 32, 3, 96, 0, 0, 0, 0) + struct.pack("<4I", *masks)
    shifts = [mask.bit_length() - 8 for mask in masks]
    body = b"".join(
        struct.pack("<I", sum(int(value) << shift for value, shift in zip((*pixel, alpha), shifts, strict=True)))
        for row in PIXELS[::-1]
        for pixel in row
    )
    start = 14 + header
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + fields.ljust(header, b"\0") + body


def rle8(width: int, height: int, body: bytes, bits: int = 8) -> bytes:
    colours = 1 << bits
    fields = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 1 if bits == 8 else 2, len(body), 0, 0, colours, 0)
    palette = b"".join(bytes((number, 255 - number, 7, 0)) for number in range(colours))
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + len(palette)) + fields + palette + body


@pytest.mark.parametrize("header", [56, 108, 124])
@pytest.mark.parametrize(
    "masks", [(0xFF0000, 0xFF00, 0xFF, 0xFF000000), (0xFF, 0xFF00, 0xFF0000, 0xFF000000)], ids=["BGRA", "RGBA"]
)
@pytest.mark.parametrize("alpha", [0, 255])
def test_an_alpha_channel_of_zeros_is_not_used(header: int, masks: tuple[int, int, int, int], alpha: int) -> None:
    data = bmp32(header, alpha, masks)

    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.asarray(image.convert("RGB")), PIXELS)
    assert np.array_equal(decode(data, SPEC), PIXELS.transpose(2, 0, 1))


def test_other_alpha_channels_are_used() -> None:
    pixels = decode(bmp32(124, 128, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)), SPEC)

    assert np.abs(pixels.astype(int) - PIXELS.transpose(2, 0, 1) * (128 / 255)).max() <= 1


@pytest.mark.parametrize(
    ("bits", "body"),
    [
        (8, b"\6\1\0\0\6\2\0\0\6\3\0\0\2\4\4\5\0\0\0\1"),
        (8, b"\0\6\1\2\3\4\5\6\0\3\7\7\7\0\3\1\0\0\6\2\0\0\6\3\0\1"),
        (4, b"\6\x12\0\0\6\x34\0\0\0\6\x12\x34\x56\0\0\0\6\x78\0\1"),
    ],
    ids=["runs", "literals", "RLE4"],
)
def test_run_lengths_are_decoded_as_by_pillow(bits: int, body: bytes) -> None:
    data = rle8(6, 4, body, bits)

    with Image.open(io.BytesIO(data)) as image:
        expected = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(decode(data, SPEC), expected)


def test_an_early_end_and_a_skip_leave_the_first_colour() -> None:
    pixels = decode(rle8(6, 4, b"\6\1\0\2\3\1\3\2\0\1"), SPEC)

    assert pixels[0, 3].tolist() == [7] * 6
    assert pixels[2, 3].tolist() == [1] * 6
    assert pixels[2, 1].tolist() == [0, 0, 0, 2, 2, 2]
    assert pixels[2, 0].tolist() == [0] * 6


@pytest.mark.parametrize("body", [b"\1\5\0\0" * 50, b"\1\5" * 3_000_000], ids=["short", "long"])
def test_decoding_a_bomb_takes_little_time(body: bytes) -> None:
    started = time.process_time()

    with pytest.raises(BadImage, match=r"cut off after 50|too long"):
        decode(rle8(8000, 8000, body), SPEC)

    assert time.process_time() - started < 5
