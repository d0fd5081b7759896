"""The sample formats and compressions of TIFF files."""

import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode
from tests.support.images import encoded, noise

SPEC = ImageSpec(size=(4, 6))


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (6, 4), colour)


def tagged(image: Image.Image, **tags: int) -> bytes:
    """Encode with tags of these numbers, such as t262=0."""
    directory = ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[int(name[1:])] = value
    return encoded(image, "TIFF", tiffinfo=directory)


def patched(data: bytes, tag: int, value: int) -> bytes:
    """Replace the value of a short or long tag of a little-endian TIFF."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry) == (tag,):
            return data[: entry + 8] + struct.pack("<I", value) + data[entry + 12 :]
    raise LookupError(tag)


SIXTEEN = Image.fromarray(np.full((4, 6), 100 * 257, np.uint16))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encoded(plain("1", 1), "TIFF"), (255, 255, 255), id="1 bit"),
        pytest.param(encoded(plain("1", 1), "TIFF", compression="group4"), (255, 255, 255), id="fax"),
        pytest.param(encoded(plain("1", 0), "TIFF", compression="group3"), (0, 0, 0), id="fax, black"),
        pytest.param(encoded(plain("L", 77), "TIFF"), (77, 77, 77), id="grey"),
        pytest.param(patched(encoded(plain("L", 77), "TIFF"), 262, 0), (178, 178, 178), id="grey, white is zero"),
        pytest.param(encoded(SIXTEEN, "TIFF"), (100, 100, 100), id="16 bits"),
        pytest.param(patched(encoded(SIXTEEN, "TIFF"), 262, 0), (155, 155, 155), id="16 bits, white is zero"),
        pytest.param(encoded(plain("F", 0.5), "TIFF"), (128, 128, 128), id="floating point, 0 to 1"),
        pytest.param(encoded(plain("F", 77.0), "TIFF"), (77, 77, 77), id="floating point, 0 to 255"),
        pytest.param(encoded(plain("I", 77), "TIFF"), (77, 77, 77), id="32 bits, 0 to 255"),
        pytest.param(encoded(plain("LA", (200, 128)), "TIFF"), (100, 100, 100), id="grey with alpha"),
        pytest.param(encoded(plain("CMYK", (0, 255, 255, 0)), "TIFF"), (255, 0, 0), id="CMYK"),
        pytest.param(encoded(plain("YCbCr", (128, 128, 128)), "TIFF"), (128, 128, 128), id="YCbCr"),
        pytest.param(encoded(plain("RGB", (9, 8, 7)).quantize(2), "TIFF"), (9, 8, 7), id="palette"),
    ],
)
def test_every_sample_format_is_decoded_to_its_colours(data: bytes, expected: tuple[int, int, int]) -> None:
    assert np.abs(decode(data, SPEC).astype(int) - np.reshape(expected, (3, 1, 1))).max() <= 1


def test_twelve_bits_are_scaled() -> None:
    rows = np.full(6 * 4, 0xFFF, np.uint16)  # 24 samples of 12 bits are 36 bytes of ones
    data = encoded(Image.fromarray(rows.reshape(4, 6)), "TIFF")
    data = patched(data, 258, 12)
    (strip,) = (value for value in [data.find(b"\xff\x0f" * 24)] if value > 0)
    data = data[:strip] + b"\xff" * 48 + data[strip + 48 :]

    assert np.unique(decode(data, SPEC)).tolist() == [255]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded(plain("F", 1000.0), "TIFF"), "samples from 1000 to 1000; save it with 8 or 16 unsigned bits"),
        (encoded(plain("F", float("nan")), "TIFF"), "samples from nan"),
        (encoded(plain("I", 70_000), "TIFF"), "samples from 70000"),
        (encoded(plain("LAB", (1, 2, 3)), "TIFF"), "in the colours LAB; save it as RGB or grey"),
        (
            patched(encoded(plain("RGB", 0), "TIFF", compression="tiff_lzw"), 259, 50001),
            "compressed by webp; save it with LZW",
        ),
        (tagged(plain("RGB", 0), t50706=0x04010000), "a raw photo"),
        (tagged(plain("RGB", 0), t254=1), "a raw photo .* or a preview"),
    ],
)
def test_what_has_no_defined_colours_is_refused_with_what_to_do(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason):
        decode(data, SPEC)


def test_a_directory_that_takes_much_memory_is_refused() -> None:
    entries = b"".join(struct.pack("<HHII", tag, 4, 100_000, 8) for tag in range(256, 300))
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 44) + entries

    with pytest.raises(BadImage, match="too many strips or tiles"):
        decode(data, SPEC)


def test_the_first_page_is_used() -> None:
    first, second = (Image.fromarray(noise(4, 6, seed=seed)) for seed in range(2))

    pixels = decode(encoded(first, "TIFF", save_all=True, append_images=[second]), SPEC)

    assert np.array_equal(pixels, noise(4, 6).transpose(2, 0, 1))
