"""PNG files with much or damaged metadata are decoded."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from contract.errors import BadImage
from contract.images import ImageSpec, Mode
from media.images import decode
from media.images import png as png_files
from tests.support.images import encoded, noise

SPEC = ImageSpec(size=(20, 20))
PNG = encoded(noise(20, 20))
PIXELS = noise(20, 20).transpose(2, 0, 1)


def chunk(kind: bytes, data: bytes, checksum_error: int = 0) -> bytes:
    checksum = zlib.crc32(kind + data) ^ checksum_error
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunks(*chunks: bytes) -> bytes:
    """Insert chunks after the header."""
    return PNG[:33] + b"".join(chunks) + PNG[33:]


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(chunk(b"tEXt", b"k\0" + b"x" * 3_000_000), id="text"),
        pytest.param(chunk(b"tEXt", b"a\0" + b"x" * 1000) * 70_000, id="64 MiB of text"),
        pytest.param(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(100_000_000))), id="text bomb"),
        pytest.param(chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(100_000_000))), id="Unicode text bomb"),
        pytest.param(chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(bytes(100_000_000))), id="XMP bomb"),
        pytest.param(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(10**8))), id="EXIF bomb"),
        pytest.param(chunk(b"iCCP", b"p\0\0" + zlib.compress(np.random.default_rng(0).bytes(2**21))), id="profile"),
        pytest.param(chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(100_000_000))), id="profile bomb"),
        pytest.param(chunk(b"iCCP", b"p\0\7"), id="profile in an unknown compression"),
        pytest.param(chunk(b"eXIf", bytes(3_000_000)), id="EXIF"),
        pytest.param(chunk(b"pHYs", b"\0"), id="short resolution"),
        pytest.param(chunk(b"tRNS", b"\0"), id="short transparency"),
    ],
)
def test_metadata_is_skipped(metadata: bytes) -> None:
    assert np.array_equal(decode(with_chunks(metadata), SPEC), PIXELS)


@pytest.mark.parametrize("kind", [b"tEXt", b"gAMA", b"pHYs", b"tIME", b"eXIf", b"iCCP", b"prVt"])
def test_a_wrong_checksum_of_metadata_is_ignored(kind: bytes) -> None:
    assert np.array_equal(decode(with_chunks(chunk(kind, b"\0\0\0\1", checksum_error=1)), SPEC), PIXELS)


def test_transparency_with_a_wrong_checksum_is_used() -> None:
    data = encoded(Image.new("RGB", (20, 20), (200, 100, 50)))
    transparent = chunk(b"tRNS", struct.pack(">3H", 200, 100, 50), checksum_error=1)

    assert not decode(data[:33] + transparent + data[33:], SPEC).any()


def test_a_wrong_checksum_of_the_header_is_an_error() -> None:
    data = bytearray(PNG)
    data[29] ^= 1

    with pytest.raises(BadImage, match="its chunk IHDR has a wrong checksum"):
        decode(bytes(data), SPEC)


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "eXIf"])
def test_metadata_that_rotates_the_image_is_read(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = b"Raw profile type exif\0"
    text = b"\nexif\n" + b"%8d\n" % len(exif.tobytes()) + exif.tobytes().hex().encode() + b"\n"
    metadata = {
        "tEXt": profile + text,
        "zTXt": profile + b"\0" + zlib.compress(text),
        "iTXt": b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>',
        "eXIf": exif.tobytes()[6:],
    }[kind]

    assert np.array_equal(decode(with_chunks(chunk(kind.encode(), metadata)), SPEC), np.rot90(PIXELS, -1, (1, 2)))


def test_a_png_of_endless_chunks_is_rejected() -> None:
    with pytest.raises(BadImage, match="too many chunks"):
        decode(with_chunks(chunk(b"IDAT", b"") * 200_000), SPEC)


def test_a_png_of_ios_apps_is_named() -> None:
    with pytest.raises(BadImage, match="Apple's own variant"):
        decode(PNG[:8] + chunk(b"CgBI", b"\0\0\0\0") + PNG[8:], SPEC)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("interesting", [noise, lambda *shape: np.cumsum(noise(*shape), axis=1, dtype=np.uint8)])
def test_a_plain_png_has_the_pixels_that_pillow_decodes(
    mode: Mode, channels: int, interesting: Callable[..., np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, spec = encoded(interesting(60, 70, channels)), ImageSpec(size=(24, 20), mode=mode)

    fast = decode(data, spec)
    monkeypatch.setattr(png_files, "_decoded", lambda *_: None)

    assert np.array_equal(fast, decode(data, spec))


def test_an_opaque_png_has_the_pixels_of_one_without_transparency() -> None:
    image = Image.fromarray(noise(60, 70))
    opaque = image.copy()
    opaque.putalpha(255)

    assert np.array_equal(decode(encoded(opaque), SPEC), decode(encoded(image), SPEC))


def test_orientation_after_the_pixels_is_read() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = PNG[:-12] + chunk(b"eXIf", exif.tobytes()[6:]) + PNG[-12:]

    assert np.array_equal(decode(data, SPEC), PIXELS[:, ::-1, ::-1])


def test_only_the_image_of_an_animation_that_others_show_is_decoded() -> None:
    frames = [Image.fromarray(noise(20, 20, seed=seed)) for seed in (0, 1)]
    data = encoded(frames[0], save_all=True, append_images=frames[1:])

    assert np.array_equal(decode(data, SPEC), PIXELS)


def test_a_panic_of_the_fast_decoder_leaves_the_file_to_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(*_: object) -> None:
        raise PanicException

    monkeypatch.setattr(png_files, "decode_image_png_u8", panic)

    assert np.array_equal(decode(PNG, SPEC), PIXELS)
