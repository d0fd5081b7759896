"""The media type of an image comes from its bytes."""

import io

import pytest
from PIL import Image

from services.gateway.images.formats import UNKNOWN, media_type_of


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
        ("PPM", "image/x-portable-pixmap"),
        ("TIFF", "image/tiff"),
        ("WEBP", "image/webp"),
        ("JPEG2000", "image/jp2"),
        ("AVIF", "image/avif"),
    ],
)
def test_every_format_is_known(kind: str, media_type: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, kind)

    assert media_type_of(file.getvalue()) == media_type


def test_heic_is_known() -> None:
    assert media_type_of(b"\0\0\0\x18ftypheic\0\0\0\0") == "image/heic"


@pytest.mark.parametrize("file", [b"", b"<svg onload=alert(1)>", b"<html>", b"RIFF1234WAVE"])
def test_other_files_have_no_type_that_a_browser_would_show(file: bytes) -> None:
    assert media_type_of(file) == UNKNOWN
