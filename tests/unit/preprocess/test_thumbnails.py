"""Thumbnails are small PNG data URIs of the pixels."""

import base64

import numpy as np
import pytest

from contract.images import ImageSpec
from media.images import decode
from services.preprocess.thumbnails import data_uri
from tests.support.images import noise


def decoded(uri: str, spec: ImageSpec) -> np.ndarray:
    head, data = uri.split(",")
    assert head == "data:image/png;base64"
    return decode(base64.b64decode(data), spec)


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_small_pictures_are_kept_as_they_are(mode: str, channels: int) -> None:
    pixels = noise(20, 30, channels).reshape(20, 30, channels).transpose(2, 0, 1)

    assert np.array_equal(decoded(data_uri(pixels), ImageSpec(size=(20, 30), mode=mode)), pixels)


def test_large_pictures_are_reduced_to_64_pixels() -> None:
    pixels = np.full((3, 200, 100), 90, np.uint8)

    uri = data_uri(pixels)

    header = base64.b64decode(uri.split(",")[1])[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (32, 64)
    assert np.array_equal(decoded(uri, ImageSpec(size=(64, 32))), np.full((3, 64, 32), 90))
