"""Copies of images for people to look at."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import Base

from contract.errors import BadImage
from media.images import clean_copy
from media.images.clean_copy import SIDE

ROTATED = 6  # the EXIF orientation of a camera that was held upright
WIDTH, HEIGHT = 60, 40


def photo(file_format: str, mode: str = "RGB", **options: Any) -> bytes:
    """A smooth image with metadata that names a place, in all the ways of its format."""
    ramp = np.linspace(0, 255, WIDTH * HEIGHT * 3).reshape(HEIGHT, WIDTH, 3).astype(np.uint8)
    exif = Image.Exif()
    exif[Base.Orientation], exif[Base.ImageDescription] = ROTATED, "a secret place"
    file = io.BytesIO()
    Image.fromarray(ramp).convert(mode).save(file, file_format, exif=exif, **options)
    return file.getvalue()


def opened(copy: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(copy))
    image.load()
    return image


@pytest.mark.parametrize(
    ("file_format", "options", "kept"),
    [
        ("JPEG", {"comment": b"secret", "xmp": b"<secret/>", "icc_profile": b"secret" * 30}, "JPEG"),
        ("PNG", {"icc_profile": b"secret" * 30}, "PNG"),
        ("WEBP", {"xmp": b"<secret/>"}, "JPEG"),
        ("TIFF", {}, "PNG"),
        ("AVIF", {}, "JPEG"),
    ],
)
def test_a_copy_is_upright_and_has_no_metadata(file_format: str, options: dict[str, Any], kept: str) -> None:
    original = photo(file_format, **options)
    assert b"secret" in original

    image = opened(copy := clean_copy(original))

    assert (image.format, image.size) == (kept, (HEIGHT, WIDTH))
    assert b"secret" not in copy
    assert not image.getexif()
    assert not set(image.info) & {"exif", "icc_profile", "comment", "xmp", "photoshop", "XML:com.adobe.xmp"}


def test_a_png_keeps_its_pixels_and_a_jpeg_nearly() -> None:
    png, jpeg = photo("PNG"), photo("JPEG", quality=90)

    for original, tolerance in ((png, 0), (jpeg, 6)):
        upright = opened(original).transpose(Image.Transpose.ROTATE_270)
        difference = np.asarray(upright).astype(int) - np.asarray(opened(clean_copy(original)))
        assert np.abs(difference).max() <= tolerance


def test_the_same_file_gives_the_same_copy() -> None:
    assert clean_copy(photo("JPEG")) == clean_copy(photo("JPEG"))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA"])
def test_a_png_of_any_mode_can_be_copied(mode: str) -> None:
    assert opened(clean_copy(photo("PNG", mode))).mode == mode


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    assert opened(clean_copy(photo("JPEG", "CMYK"))).mode == "RGB"


def test_transparent_pixels_stay_transparent() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (8, 8), (255, 0, 0, 100)).save(file, "WEBP")

    image = opened(clean_copy(file.getvalue()))

    assert (image.format, image.mode) == ("PNG", "RGBA")


@pytest.mark.parametrize("file", [b"", b"text", photo("JPEG")[:300]])
def test_what_is_no_whole_image_is_refused(file: bytes) -> None:
    with pytest.raises(BadImage):
        clean_copy(file)


@pytest.mark.parametrize(
    ("file_format", "mode", "kept"), [("JPEG", "L", "L"), ("PNG", "P", "RGB"), ("PNG", "LA", "LA")]
)
def test_a_large_image_is_reduced(file_format: str, mode: str, kept: str) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = ROTATED
    file = io.BytesIO()
    Image.new(mode, (4 * SIDE, SIDE // 4)).save(file, file_format, exif=exif)

    image = opened(clean_copy(file.getvalue()))

    assert (image.format, image.mode, image.size) == (file_format, kept, (SIDE // 16, SIDE))


def test_a_huge_jpeg_is_copied_and_a_huge_png_refused() -> None:
    huge = Image.new("L", (9000, 5000))
    jpeg, png = io.BytesIO(), io.BytesIO()
    huge.save(jpeg, "JPEG")
    huge.save(png, "PNG")

    assert opened(clean_copy(jpeg.getvalue())).size == (2048, 1138)
    with pytest.raises(BadImage, match="9000 x 5000"):
        clean_copy(png.getvalue())
