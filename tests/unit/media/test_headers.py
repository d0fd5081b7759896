"""What the headers of image files say."""

import numpy as np
import pytest
from PIL import Image

from contract.errors import BadImage
from media.headers import Header, read_header
from tests.support.images import encoded, noise


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_the_size_is_read_in_every_format(kind: str) -> None:
    header = read_header(encoded(noise(20, 30), kind))

    assert (header.width, header.height, header.grey) == (30, 20, False)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_that_stores_no_colour_is_grey(kind: str) -> None:
    assert read_header(encoded(noise(20, 30, 1), kind)) == Header(30, 20, grey=True)


def test_grey_with_transparency_is_grey_and_a_palette_is_not_known_to_be() -> None:
    assert read_header(encoded(Image.fromarray(noise(9, 9, 1)).convert("LA"))).grey
    assert not read_header(encoded(Image.fromarray(noise(9, 9, 1)).convert("P"))).grey


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_first_part_of_a_file_is_enough(kind: str) -> None:
    data = encoded(noise(200, 300), kind)

    assert read_header(data[: len(data) // 4])[:2] == (300, 200)


def test_the_size_is_as_stored_before_the_orientation() -> None:
    image = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6

    assert read_header(encoded(image, "JPEG", exif=exif))[:2] == (30, 20)


def test_a_file_that_is_no_image_is_rejected() -> None:
    with pytest.raises(BadImage):
        read_header(b"text")
