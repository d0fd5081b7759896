"""TIFF, GIF, AVIF, HEIC, JPEG 2000, PGM and PPM files are decoded to the expected pixels."""

import io
import struct
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec
from media.images import decode, decode_image
from tests.support.images import encoded, noise

SMOOTH = np.asarray(Image.fromarray(noise(5, 6)).resize((96, 64), Image.Resampling.BICUBIC))
SPEC = ImageSpec(size=(64, 96))
PIXELS = SMOOTH.transpose(2, 0, 1)


def heic(image: Image.Image | pillow_heif.HeifFile, **options: Any) -> bytes:
    file = io.BytesIO()
    heif = pillow_heif.from_pillow(image) if isinstance(image, Image.Image) else image
    heif.save(file, **{"quality": 95} | options)
    return file.getvalue()


pillow_heif.register_heif_opener()  # for Image.save; the decoder does not use Image.open


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


LOSSLESS = {
    "TIFF": encoded(SMOOTH, "TIFF"),
    "BigTIFF": encoded(SMOOTH, "TIFF", big_tiff=True),
    "LZW": encoded(SMOOTH, "TIFF", compression="tiff_lzw"),
    "Deflate": encoded(SMOOTH, "TIFF", compression="tiff_adobe_deflate"),
    "PackBits": encoded(SMOOTH, "TIFF", compression="packbits"),
    "JPEG 2000": encoded(SMOOTH, "JPEG2000"),
    "JPEG 2000 in tiles": encoded(SMOOTH, "JPEG2000", tile_size=(32, 32)),
    "codestream": encoded(SMOOTH, "JPEG2000", no_jp2=True),
    "PPM": encoded(SMOOTH, "PPM"),
}
LOSSY = {
    "TIFF": encoded(SMOOTH, "TIFF", compression="jpeg", quality=95),
    "AVIF": encoded(SMOOTH, "AVIF", quality=95),
    "AVIF in 4:4:4": encoded(SMOOTH, "AVIF", quality=95, subsampling="4:4:4"),
    "HEIC": heic(Image.fromarray(SMOOTH)),
    "HEIC in a grid": heic(Image.fromarray(SMOOTH), tile_size=64),
    "JPEG 2000": encoded(SMOOTH, "JPEG2000", irreversible=True, quality_layers=[10], quality_mode="rates"),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_give_the_exact_pixels(kind: str) -> None:
    image = decode_image(LOSSLESS[kind], SPEC)

    assert (image.width, image.height, image.repaired) == (96, 64, False)
    assert np.array_equal(image.pixels, PIXELS)


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_formats_give_nearly_the_pixels(kind: str) -> None:
    assert np.abs(decode(LOSSY[kind], SPEC).astype(int) - PIXELS).mean() < 3


def test_a_gif_gives_its_first_frame() -> None:
    frames = [Image.fromarray(noise(8, 8, seed=seed)).quantize(16) for seed in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], comment=b"c" * 1000)

    pixels = decode(data, ImageSpec(size=(8, 8)))

    assert np.array_equal(pixels, np.asarray(frames[0].convert("RGB")).transpose(2, 0, 1))


def test_the_transparent_colour_of_a_gif_is_black() -> None:
    image = Image.fromarray(np.repeat(np.array([[0, 1]], np.uint8), 4, axis=0))
    image.putpalette([200, 100, 50, 10, 20, 30])

    pixels = decode(encoded(image, "GIF", transparency=0), ImageSpec(size=(4, 2)))

    assert pixels[:, 0].T.tolist() == [[0, 0, 0], [10, 20, 30]]


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "HEIC"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(kind: str, orientation: int) -> None:
    spec = SPEC if orientation <= 4 else ImageSpec(size=(96, 64))
    expected = decode(encoded(SMOOTH, exif=turned(orientation)), spec)
    image = Image.fromarray(SMOOTH)
    if kind == "HEIC":
        image.getexif()[0x0112] = orientation  # written as irot and imir, and into EXIF
        data = encoded(image, "HEIF", quality=95)
    else:
        data = encoded(image, kind, exif=turned(orientation), **({"quality": 95} if kind == "AVIF" else {}))

    assert np.abs(decode(data, spec).astype(int) - expected).mean() < 3


@pytest.mark.parametrize("kind", ["TIFF", "AVIF", "JPEG2000"])
def test_transparency_becomes_black(kind: str) -> None:
    image = Image.new("RGBA", (16, 16), (200, 100, 50, 128))

    pixels = decode(encoded(image, kind, **({"quality": 100} if kind == "AVIF" else {})), ImageSpec(size=(4, 4)))

    assert np.abs(pixels[:, 0, 0].astype(int) - (100, 50, 25)).max() <= 2


def test_samples_of_high_dynamic_range_are_scaled_to_eight_bits() -> None:
    samples = np.full((64, 64, 3), 200 * 257, np.uint16)
    image = pillow_heif.from_bytes(mode="RGB;16", size=(64, 64), data=samples.tobytes())

    assert np.abs(decode(heic(image), ImageSpec(size=(8, 8))).astype(int) - 200).max() <= 1


@pytest.mark.parametrize("kind", ["JPEG2000", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_scaled(kind: str) -> None:
    image = Image.fromarray(np.full((8, 8), 128 * 257, np.uint16))
    data = b"P5 8 8 65535\n" + b"\x80\x80" * 64 if kind == "PPM" else encoded(image, kind)

    assert np.unique(decode(data, ImageSpec(size=(8, 8)))).tolist() == [128]


def test_a_jpeg_2000_of_endless_layers_is_rejected() -> None:
    data = bytearray(LOSSLESS["JPEG 2000 in tiles"])
    struct.pack_into(">H", data, data.index(b"\xff\x52") + 6, 65535)

    with pytest.raises(BadImage, match="unusual structure; save it as JPEG or PNG"):
        decode(bytes(data), SPEC)


def test_the_two_sizes_of_a_jpeg_2000_must_agree() -> None:
    data = bytearray(encoded(SMOOTH, "JPEG2000"))
    struct.pack_into(">I", data, data.index(b"\xff\x4f\xff\x51") + 8, 20_000)

    with pytest.raises(BadImage, match="header is damaged"):
        decode(bytes(data), SPEC)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "AVIF", "HEIC", "JPEG2000", "PPM", "WEBP"])
def test_pixels_are_counted_before_they_are_decoded(kind: str) -> None:
    data = heic(Image.fromarray(SMOOTH)) if kind == "HEIC" else encoded(SMOOTH, kind)

    with pytest.raises(BadImage, match="the image has 96 x 64 pixels; the limit is"):
        decode(data, SPEC, max_pixels=96 * 64 - 1)


@pytest.mark.parametrize("brand", [b"avif", b"mif1"])
def test_avif_is_recognised_by_any_of_its_brands(brand: bytes) -> None:
    data = LOSSY["AVIF"].replace(b"ftypavif", b"ftyp" + brand)

    assert decode(data, SPEC).shape == (3, 64, 96)
