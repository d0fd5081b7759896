"""Image files are decoded to the expected pixels."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from PIL import Image

from contract.images import ImageSpec, Resize
from media.images import decode
from tests.support.images import encoded, noise

COLOUR = (200, 100, 50)
SMALL = ImageSpec(size=(4, 6))
FILES = {
    "JPEG": encoded(noise(4, 6), "JPEG"),
    "progressive JPEG": encoded(noise(4, 6), "JPEG", progressive=True),
    "PNG": encoded(noise(4, 6)),
    "WebP": encoded(noise(4, 6), "WEBP", lossless=True),
    "BMP": encoded(noise(4, 6), "BMP"),
}


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, (6, 4), colour)


def sixteen_bit(value: int) -> Image.Image:
    return Image.fromarray(np.full((4, 6), value, np.uint16))


def palette(index: int) -> Image.Image:
    image = plain("P", index)
    image.putpalette([0, 0, 0, *COLOUR])
    return image


@pytest.mark.parametrize("kind", FILES)
def test_every_format_has_the_shape_of_the_spec(kind: str) -> None:
    pixels = decode(FILES[kind], SMALL)

    assert pixels.shape == (3, 4, 6)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("kind", ["PNG", "WebP", "BMP"])
def test_lossless_formats_give_the_exact_pixels(kind: str) -> None:
    assert np.array_equal(decode(FILES[kind], SMALL), noise(4, 6).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encoded(plain("1", 1)), (255, 255, 255), id="1-bit PNG"),
        pytest.param(encoded(plain("1", 1), "BMP"), (255, 255, 255), id="1-bit BMP"),
        pytest.param(encoded(plain("L", 77)), (77, 77, 77), id="grey PNG"),
        pytest.param(encoded(plain("L", 77), "JPEG"), (77, 77, 77), id="grey JPEG"),
        pytest.param(encoded(plain("L", 77), "BMP"), (77, 77, 77), id="grey BMP"),
        pytest.param(encoded(plain("L", 77), transparency=77), (0, 0, 0), id="grey PNG, its colour transparent"),
        pytest.param(encoded(plain("L", 78), transparency=77), (78, 78, 78), id="grey PNG, another transparent"),
        pytest.param(encoded(sixteen_bit(65535)), (255, 255, 255), id="16-bit white"),
        pytest.param(encoded(sixteen_bit(128 * 257)), (128, 128, 128), id="16-bit grey"),
        pytest.param(encoded(sixteen_bit(300)), (1, 1, 1), id="16-bit nearly black is not clipped to white"),
        pytest.param(encoded(sixteen_bit(700), transparency=700), (0, 0, 0), id="16-bit transparent"),
        pytest.param(encoded(plain("LA", (200, 255))), (200, 200, 200), id="grey with alpha"),
        pytest.param(encoded(plain("LA", (200, 128))), (100, 100, 100), id="grey, half transparent"),
        pytest.param(encoded(palette(1)), COLOUR, id="palette PNG"),
        pytest.param(encoded(palette(1), "BMP"), COLOUR, id="palette BMP"),
        pytest.param(encoded(palette(1), transparency=1), (0, 0, 0), id="palette, colour transparent"),
        pytest.param(encoded(palette(1), transparency=b"\xff\x80"), (100, 50, 25), id="palette with alpha"),
        pytest.param(encoded(plain("RGB", COLOUR), transparency=COLOUR), (0, 0, 0), id="RGB, colour transparent"),
        pytest.param(encoded(plain("RGBA", (*COLOUR, 255))), COLOUR, id="RGBA"),
        pytest.param(encoded(plain("RGBA", (*COLOUR, 128))), (100, 50, 25), id="RGBA, half transparent"),
        pytest.param(encoded(plain("RGBA", (*COLOUR, 0))), (0, 0, 0), id="RGBA, transparent"),
        pytest.param(encoded(plain("RGBA", (*COLOUR, 128)), "WEBP", lossless=True), (100, 50, 25), id="WebP, alpha"),
        pytest.param(encoded(plain("RGBA", (*COLOUR, 255)), "BMP"), COLOUR, id="RGBA BMP"),
        pytest.param(encoded(plain("CMYK", (0, 255, 255, 0)), "JPEG"), (255, 0, 0), id="CMYK JPEG"),
        pytest.param(encoded(plain("YCbCr", (128, 128, 128)), "JPEG"), (128, 128, 128), id="YCbCr JPEG"),
    ],
)
def test_every_mode_is_decoded_to_its_colours(data: bytes, expected: tuple[int, int, int]) -> None:
    pixels = decode(data, SMALL).astype(int)

    assert np.abs(pixels - np.reshape(expected, (3, 1, 1))).max() <= 2


def test_colour_becomes_grey_by_luma() -> None:
    grey = decode(encoded(plain("RGB", COLOUR)), ImageSpec(size=(4, 6), mode="L"))

    assert grey.shape == (1, 4, 6)
    assert np.unique(grey) == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda upright: upright),
        (2, np.fliplr),
        (3, lambda upright: np.rot90(upright, 2)),
        (4, np.flipud),
        (5, lambda upright: upright.swapaxes(0, 1)),
        (6, np.rot90),
        (7, lambda upright: np.rot90(upright, 2).swapaxes(0, 1)),
        (8, lambda upright: np.rot90(upright, -1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, stored: Callable[[np.ndarray], np.ndarray], kind: str) -> None:
    upright, exif = noise(4, 6), Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(stored(upright)), kind, exif=exif, lossless=True)

    assert np.array_equal(decode(data, SMALL), upright.transpose(2, 0, 1))


def test_broken_exif_is_ignored() -> None:
    data = encoded(noise(4, 6), exif=b"Exif\0\0neither II nor MM")

    assert np.array_equal(decode(data, SMALL), noise(4, 6).transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_first_frame_of_an_animation_is_decoded(kind: str) -> None:
    red, blue = plain("RGB", (255, 0, 0)), plain("RGB", (0, 0, 255))

    pixels = decode(encoded(red, kind, save_all=True, append_images=[blue], lossless=True), SMALL)

    assert np.array_equal(pixels[:, 0, 0], (255, 0, 0))


def halves() -> np.ndarray:
    """4 x 8: the left half white, the right half grey."""
    return np.concatenate([np.full((4, 4), 255, np.uint8), np.full((4, 4), 100, np.uint8)], axis=1)


def square(resize: Resize) -> np.ndarray:
    return decode(encoded(halves()), ImageSpec(size=(4, 4), mode="L", resize=resize)).reshape(4, 4)


def test_stretch_keeps_everything() -> None:
    assert np.array_equal(square("stretch")[:, [0, 3]], [[255, 100]] * 4)


def test_crop_keeps_the_middle() -> None:
    assert np.array_equal(square("crop"), [[255, 255, 100, 100]] * 4)


def test_pad_adds_black() -> None:
    padded = square("pad")

    assert np.array_equal(padded[[0, 3]], np.zeros((2, 4)))
    assert np.array_equal(padded[1:3, [0, 3]], [[255, 100]] * 2)


def test_pad_centres_tall_images_too() -> None:
    padded = decode(encoded(halves().T.copy()), ImageSpec(size=(4, 4), mode="L", resize="pad")).reshape(4, 4)

    assert np.array_equal(padded[:, [0, 3]], np.zeros((4, 2)))
    assert np.array_equal(padded[[0, 3], 1:3], [[255, 255], [100, 100]])


@pytest.mark.parametrize("resize", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1), (3, 5)])
def test_any_aspect_ratio_fits(shape: tuple[int, int], resize: Resize) -> None:
    spec = ImageSpec(size=(5, 3), resize=resize)

    pixels = decode(encoded(np.full((*shape, 3), 90, np.uint8)), spec)

    assert (pixels.shape, pixels.max()) == ((3, 5, 3), 90)


def test_reduction_is_antialiased() -> None:
    checkerboard = np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255

    pixels = decode(encoded(checkerboard), ImageSpec(size=(4, 4)))

    assert np.abs(pixels.astype(int) - 127).max() <= 3


def test_transparent_colours_do_not_bleed_into_a_reduction() -> None:
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, ::2] = (255, 0, 0, 0)
    pixels[:, 1::2] = (0, 200, 0, 255)

    reduced = decode(encoded(pixels), ImageSpec(size=(1, 1)))

    assert reduced[0] == 0
    assert abs(int(reduced[1, 0, 0]) - 100) <= 3


def test_large_jpeg_looks_like_its_png() -> None:
    ramp = np.linspace(0, 255, 1000).astype(np.uint8)
    image = np.stack([np.tile(ramp, (800, 1)), np.tile(ramp[:800, None], (1, 1000)), np.full((800, 1000), 60)], 2)
    image = image.astype(np.uint8)

    from_jpeg, from_png = (decode(encoded(image, kind), ImageSpec()).astype(int) for kind in ("JPEG", "PNG"))

    assert np.abs(from_jpeg - from_png).max() <= 4


def test_decoding_in_threads_gives_the_same_pixels() -> None:
    files = [encoded(noise(40, 30, seed=seed), "JPEG") for seed in range(64)]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda data: decode(data, SMALL), files))

    assert np.array_equal(together, [decode(data, SMALL) for data in files])
