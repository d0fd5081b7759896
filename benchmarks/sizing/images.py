"""JPEG files of the sizes that people send."""

import io

import numpy as np
from PIL import Image

SIZES = {"32 × 32": (32, 32), "224 × 224": (224, 224), "1 megapixel": (1280, 800), "12 megapixels": (4000, 3000)}


def photo(width: int, height: int) -> bytes:
    """A synthetic image of blurred blobs and noise, whose file is about as large as a photograph's."""
    random = np.random.default_rng(0)
    blobs = Image.fromarray(random.integers(0, 256, (7, 7, 3), np.uint8))
    image = np.asarray(blobs.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random.integers(-6, 7, (height, width, 1), np.int16)
    file = io.BytesIO()
    Image.fromarray(np.clip(image + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()
