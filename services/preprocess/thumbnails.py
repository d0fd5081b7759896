"""Thumbnails of images as PNG data URIs."""

import base64
import io

import numpy as np
from PIL import Image

MAX_SIDE = 64


def data_uri(pixels: np.ndarray) -> str:
    """uint8 (channels, height, width) of 1 or 3 channels as a PNG data URI of at most MAX_SIDE pixels a side."""
    image = Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
