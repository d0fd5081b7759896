"""Files that are cut off in their last tenth are repaired, as Pillow does with LOAD_TRUNCATED_IMAGES."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode, decode_image
from tests.support.images import encoded, noise

SMOOTH = Image.fromarray(noise(6, 5)).resize((200, 160), Image.Resampling.BICUBIC)
SPEC = ImageSpec(size=(160, 200))
JPEGS: list[dict[str, Any]] = [
    {},
    {"subsampling": "4:4:4"},
    {"optimize": True, "restart_marker_blocks": 4},
    {"progressive": True},
]
PNG_PIXELS = noise(100, 80)


def as_pillow(data: bytes, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("options", JPEGS)
@pytest.mark.parametrize("share", [0, 0.04])
def test_a_jpeg_without_its_last_rows_is_repaired(
    options: dict[str, Any], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(SMOOTH, "JPEG", quality=90, **options)
    cut = data[: -2 - int(len(data) * share)]

    image = decode_image(cut, SPEC)

    assert (image.width, image.height, image.repaired) == (200, 160, True)
    np.testing.assert_array_equal(image.pixels, as_pillow(cut, monkeypatch))


@pytest.mark.parametrize("side", [48, 64])
def test_a_part_of_the_last_row_of_blocks_counts(side: int) -> None:
    data = encoded(noise(side, side), "JPEG", quality=90)  # rows of blocks are 16 pixels high

    assert decode_image(data[: len(data) * 97 // 100], ImageSpec(size=(side, side))).repaired
    with pytest.raises(BadImage, match="cut off after"):
        decode(data[: len(data) * 3 // 4], ImageSpec(size=(side, side)))


@pytest.mark.parametrize("options", JPEGS)
def test_a_jpeg_without_a_third_of_it_is_rejected(options: dict[str, Any]) -> None:
    data = encoded(SMOOTH, "JPEG", quality=90, **options)

    with pytest.raises(BadImage, match=r"cut off after .* of its 160 rows"):
        decode(data[: len(data) * (4 if "progressive" in options else 6) // 10], SPEC)


@pytest.mark.parametrize("options", JPEGS)
def test_strict_rejects_what_could_be_repaired(options: dict[str, Any]) -> None:
    data = encoded(SMOOTH, "JPEG", **options)

    assert decode(data, SPEC, strict=True).shape == (3, 160, 200)
    with pytest.raises(BadImage, match="without `strict` it is repaired"):
        decode(data[:-2], SPEC, strict=True)


def test_zeros_in_place_of_the_end_are_not_taken_for_rows() -> None:
    data = encoded(SMOOTH, "JPEG")

    assert decode_image(data[:-100] + bytes(100), SPEC).repaired
    with pytest.raises(BadImage, match="cut off after"):
        decode(data[:-2000] + bytes(2000), SPEC)


def test_a_jpeg_that_is_cut_off_is_decoded_at_reduced_scale() -> None:
    data = encoded(SMOOTH.resize((1600, 1280)), "JPEG")

    image = decode_image(data[: -len(data) // 20], ImageSpec(size=(16, 20)))
    whole = decode(data, ImageSpec(size=(16, 20)))

    assert image.repaired
    assert np.abs(image.pixels[:, :14].astype(int) - whole[:, :14]).max() <= 2


@pytest.mark.parametrize("options", [{}, {"bits": 4}, {"alpha": True}])
def test_a_png_without_its_last_rows_is_repaired(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    picture = Image.fromarray(PNG_PIXELS)
    picture = picture.convert("RGBA") if options else picture
    data = encoded(picture)
    cut = data[: -len(data) // 20]

    image = decode_image(cut, ImageSpec(size=(100, 80)))

    assert image.repaired
    np.testing.assert_array_equal(image.pixels, as_pillow(cut, monkeypatch))
    np.testing.assert_array_equal(image.pixels[:, :90], PNG_PIXELS.transpose(2, 0, 1)[:, :90])


def test_a_png_without_a_tenth_of_its_rows_is_rejected() -> None:
    data = encoded(PNG_PIXELS)

    with pytest.raises(BadImage, match=r"cut off after .* of its 100 rows"):
        decode(data[: len(data) * 85 // 100], SPEC)
    with pytest.raises(BadImage, match="without `strict`"):
        decode(data[:-12], SPEC, strict=True)


def test_an_interlaced_png_without_its_last_rows_is_repaired() -> None:
    data = interlaced(PNG_PIXELS)

    assert np.array_equal(decode(data, ImageSpec(size=(100, 80))), PNG_PIXELS.transpose(2, 0, 1))
    image = decode_image(data[: -len(data) // 40], ImageSpec(size=(100, 80)))

    assert image.repaired
    assert np.array_equal(image.pixels[:, :90], PNG_PIXELS.transpose(2, 0, 1)[:, :90])


def test_a_bmp_without_its_last_rows_is_repaired() -> None:
    data = encoded(PNG_PIXELS, "BMP")

    image = decode_image(data[:-1000], ImageSpec(size=(100, 80)))

    assert image.repaired
    assert not image.pixels[:, :4].any()  # a BMP begins with its bottom row
    assert np.array_equal(image.pixels[:, 5:], PNG_PIXELS.transpose(2, 0, 1)[:, 5:])


def interlaced(pixels: np.ndarray) -> bytes:
    """Encode with the seven passes of Adam7, which Pillow cannot write."""
    rows = b""
    for x, y, across, down in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        rows += b"".join(b"\0" + row.tobytes() for row in pixels[y::down, x::across])
    height, width = pixels.shape[:2]

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 1)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks
