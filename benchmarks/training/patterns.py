"""Images computed by code: striped textures and gray scans. Each function computes one image of a class."""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter

from benchmarks.training.drawings import Pixels, noisy

TEXTURE, SCAN = 96, 128  # pixels a side
DIRECTIONS = 4
TEXTURES = tuple(f"{width} {45 * turn} degrees" for width in ("wide", "narrow") for turn in range(DIRECTIONS))
SCANS = ("healthy", "one spot", "one mass", "three spots")
_SPOTS = (0, 1, 1, 3)
_SPOT, _MASS = (0.08, 0.13), (0.22, 0.30)  # radii, where the scan is 2 wide


def texture(rng: Generator, label: int) -> Pixels:
    """Compute stripes of one of TEXTURES: the angle is a bit off, and the colour and the contrast are random."""
    y, x = np.mgrid[:TEXTURE, :TEXTURE]
    angle = label % DIRECTIONS * np.pi / DIRECTIONS + rng.normal(0, 0.12)
    frequency = (0.25 if label < DIRECTIONS else 0.5) * rng.uniform(0.9, 1.1)
    wave = np.sin(frequency * (y * np.cos(angle) + x * np.sin(angle)) + rng.uniform(0, 2 * np.pi))
    colour = rng.uniform(60, 180, 3)
    return noisy(colour + wave[:, :, None] * rng.uniform(15, 50), rng, 25)


def scan(rng: Generator, label: int) -> Pixels:
    """Compute a scan like an X-ray image: a gray body with bright spots in it, as SCANS says."""
    y, x = np.mgrid[-1 : 1 : SCAN * 1j, -1 : 1 : SCAN * 1j]
    body = (x**2 / 0.7 + y**2 / 0.9 < 1) * rng.uniform(70, 120) + 10
    for _ in range(_SPOTS[label]):
        middle_x, middle_y = rng.uniform(-0.45, 0.45, 2)
        radius = rng.uniform(*(_MASS if SCANS[label] == "one mass" else _SPOT))
        distance = (x - middle_x) ** 2 + (y - middle_y) ** 2
        body += rng.uniform(35, 60) * np.exp(-distance / (2 * radius**2))
    return np.asarray(Image.fromarray(noisy(body, rng, 9)).filter(ImageFilter.GaussianBlur(1)))
