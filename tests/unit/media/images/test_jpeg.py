"""Large JPEG files are decoded at reduced scale, and scans and metadata are limited."""

import struct

import numpy as np
import pytest
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode, decode_image
from media.images.limits import ImageSettings
from tests.support.images import encoded, noise

SMALL = ImageSpec(size=(8, 8))
PROGRESSIVE = encoded(Image.fromarray(noise(30, 30)).resize((300, 300)), "JPEG", progressive=True)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_photo_of_108_megapixels_is_decoded(progressive: bool) -> None:
    data = encoded(Image.new("RGB", (12000, 9000), (10, 200, 30)), "JPEG", progressive=progressive)

    image = decode_image(data, ImageSpec(size=(32, 32)))

    assert (image.width, image.height, image.repaired) == (12000, 9000, False)
    assert np.abs(image.pixels[:, 16, 16].astype(int) - (10, 200, 30)).max() <= 2


def test_a_baseline_jpeg_may_have_four_times_the_pixels() -> None:
    data = encoded(Image.fromarray(noise(20, 20)).resize((200, 200)), "JPEG")

    assert decode(data, SMALL, max_pixels=10_000).shape == (3, 8, 8)
    with pytest.raises(BadImage, match="200 x 200 pixels; the limit is 9999 in all"):
        decode(data, SMALL, max_pixels=9_999)


def test_a_large_jpeg_is_reduced_to_its_target_at_most() -> None:
    data = encoded(Image.new("RGB", (200, 200)), "JPEG")

    assert decode(data, ImageSpec(size=(100, 100)), max_pixels=10_000).shape == (3, 100, 100)
    with pytest.raises(BadImage, match="200 x 200 pixels"):
        decode(data, ImageSpec(size=(101, 101)), max_pixels=10_000)


def test_the_pixels_of_a_progressive_jpeg_all_count() -> None:
    with pytest.raises(BadImage, match="300 x 300 pixels"):
        decode(PROGRESSIVE, SMALL, max_pixels=89_999)


@pytest.mark.parametrize("size", [(8, 8), (300, 300)], ids=["reduced", "same size"])
def test_endless_scans_are_refused(size: tuple[int, int]) -> None:
    start = PROGRESSIVE.rindex(b"\xff\xda")
    (length,) = struct.unpack_from(">H", PROGRESSIVE, start + 2)
    scan = PROGRESSIVE[start : start + 2 + length]

    with pytest.raises(BadImage, match="too many scans for its size"):
        decode(PROGRESSIVE[:-2] + scan * 60_000 + b"\xff\xd9", ImageSpec(size=size))


@pytest.mark.parametrize("filler", [b"\xff\xe0\0\2", b"\xff\xff\xff\xff", b"\xff\xe0\0\2\0\0\0\0"])
def test_endless_metadata_is_refused(filler: bytes) -> None:
    data = encoded(noise(8, 8), "JPEG")

    with pytest.raises(BadImage, match="too much metadata"):
        decode(data[:3] + filler[1:] + filler * 1_000_000 + data[2:], ImageSpec(size=(4, 4)))


def test_the_limit_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ImageSettings().max_pixels == 128 * 2**20
    monkeypatch.setenv("TIDEPOOL_MAX_PIXELS", "300000000")

    assert ImageSettings().max_pixels == 300_000_000
