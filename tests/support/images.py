"""Makes image files and zip archives for tests."""

import io
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"  # signatures of the headers of a zip's members

Files = Mapping[str, bytes] | Iterable[tuple[str | zipfile.ZipInfo, bytes]]


def noise(height: int = 8, width: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Random uint8 (height, width, channels), or (height, width) for one channel."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    """Encode an image in a Pillow format."""
    file = io.BytesIO()
    (Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(file, kind, **options)
    return file.getvalue()


def png(seed: int = 0, height: int = 8, width: int = 8) -> bytes:
    """Make a PNG file of colour noise."""
    return encoded(noise(height, width, seed=seed))


def png_header(width: int, height: int) -> bytes:
    """Make a valid PNG of a few bytes that declares any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def zipped(path: Path, files: Files, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write a zip of the files, in order; names may repeat if given as pairs."""
    pairs = files.items() if isinstance(files, Mapping) else files
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", method) as archive:
        warnings.simplefilter("ignore", UserWarning)  # from repeated names
        for name, data in pairs:
            archive.writestr(name, data)
    return path


def patch(path: Path, signature: bytes, offset: int, layout: str, value: int, entry: int = 0) -> Path:
    """Overwrite a field of header number `entry` with the given signature."""
    data = bytearray(path.read_bytes())
    start = -1
    for _ in range(entry + 1):
        start = data.index(signature, start + 1)
    struct.pack_into(layout, data, start + offset, value)
    path.write_bytes(data)
    return path


def class_folders(classes: Iterable[str] = ("cat", "dog"), count: int = 10, under: str = "") -> dict[str, bytes]:
    """Make `count` small PNG files for each class, all different, as `<under><class>/<number>.png`."""
    names = [f"{under}{label}/{number:03d}.png" for label in classes for number in range(count)]
    return {name: png(seed) for seed, name in enumerate(names)}
