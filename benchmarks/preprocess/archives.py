"""The archives that are prepared: many small images, and 12-megapixel photos."""

import io
import zipfile
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

CLASSES = 10
PHOTO = (3000, 4000)
_PHOTOS = 8  # different ones; the others repeat their pixels with other bytes at the end
SAMPLE = Path(__file__).parents[2] / "examples" / "cifar10-sample.zip"


def cifar(path: Path, count: int) -> Path:
    """Write `count` images as the sample of CIFAR-10 repeats them, each with bytes of its own."""
    with zipfile.ZipFile(SAMPLE) as sample:
        images = [(name.rpartition("/")[0], sample.read(name)) for name in sample.namelist() if name.endswith(".jpg")]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(count):
            folder, data = images[number * len(images) // count]
            archive.writestr(f"{folder}/{number:07d}.jpg", data + b"%d" % number)
    return path


def small(path: Path, count: int) -> Path:
    """Write `count` JPEG files of 32 × 32 pixels, each of its own pixels, in class folders."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(count):
            corners = rng.integers(0, 256, (4, 4, 3), np.uint8)
            pixels = np.ascontiguousarray(corners.repeat(8, axis=0).repeat(8, axis=1))
            data = simplejpeg.encode_jpeg(pixels, quality=90)
            archive.writestr(f"train/class {number * CLASSES // count}/{number:07d}.jpg", data)
    return path


def photos(path: Path, count: int) -> Path:
    """Write `count` JPEG files of 12 megapixels, of 3 to 4 MB each, in class folders."""
    images = [_photo(seed) for seed in range(_PHOTOS)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for number in range(count):
            data = images[number % _PHOTOS] + b"%d" % number
            archive.writestr(f"class {number % 2}/{number:05d}.jpg", data)
    return path


def _photo(seed: int) -> bytes:
    """Return soft shapes with the noise of a sensor, as a JPEG file."""
    rng = np.random.default_rng(seed)
    height, width = PHOTO
    shapes = Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    grain = rng.integers(-8, 9, (height, width, 1), np.int16)
    pixels = np.clip(np.asarray(shapes, np.int16) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return file.getvalue()
