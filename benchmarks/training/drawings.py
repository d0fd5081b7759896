"""Images drawn by code: letters, shapes, and hands with fingers up. Each function draws one image of a class."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Pixels = NDArray[np.uint8]  # (height, width) or (height, width, 3)
Draw = Callable[[Generator, int], Pixels]

LETTER, SHAPE, HAND = 32, 64, 100  # pixels a side
SHAPES = ("circle", "triangle", "square", "pentagon", "hexagon", "ring")
FINGERS = (  # thumb to little finger; 1 is up
    *("00000", "01000", "01100", "01110", "01111", "11111", "10000", "11000", "10001", "01001"),
)
_ANGLES = (-160, -115, -92, -70, -48)  # degrees, of the fingers


def letter(rng: Generator, label: int) -> Pixels:
    """Draw a letter in a random font, in upper or lower case, tilted and noisy, on grey paper."""
    image = Image.new("L", (LETTER, LETTER), int(rng.integers(180, 255)))
    font = ImageFont.truetype(rng.choice(_fonts()), int(rng.integers(16, 26)))
    text = chr(ord("A" if rng.random() < 0.5 else "a") + label)
    place = tuple((LETTER // 2 + rng.integers(-3, 4, 2)).tolist())
    ImageDraw.Draw(image).text(place, text, font=font, fill=int(rng.integers(0, 90)), anchor="mm")
    return noisy(image.rotate(float(rng.normal(0, 9)), fillcolor=230), rng, 18)


def shape(rng: Generator, label: int) -> Pixels:
    """Draw one of SHAPES in a random colour, size and rotation on a background of another random colour."""
    image = Image.new("RGB", (SHAPE, SHAPE), _colour(rng, 0, 255))
    draw, radius = ImageDraw.Draw(image), int(rng.integers(12, 26))
    x, y = (int(middle) for middle in SHAPE // 2 + rng.integers(-6, 7, 2))
    box, colour = (x - radius, y - radius, x + radius, y + radius), _colour(rng, 0, 255)
    if SHAPES[label] == "circle":
        draw.ellipse(box, fill=colour)
    elif SHAPES[label] == "ring":
        draw.ellipse(box, outline=colour, width=5)
    else:
        draw.regular_polygon((x, y, radius), label + 2, rotation=float(rng.uniform(0, 360)), fill=colour)
    return noisy(image, rng, 12)


def hand(rng: Generator, label: int) -> Pixels:
    """Draw the silhouette of a hand with the fingers of FINGERS up, tilted and noisy."""
    side = 2 * HAND
    image = Image.new("RGB", (side, side), _colour(rng, 120, 220))
    draw = ImageDraw.Draw(image)
    skin = tuple((np.array([200, 150, 120]) * rng.uniform(0.6, 1.2)).clip(0, 255).astype(int).tolist())
    x, y = np.array([HAND, 1.2 * HAND]) + rng.integers(-10, 11, 2)
    palm = int(rng.integers(30, 38))
    draw.ellipse((x - palm, y - palm, x + palm, y + palm), fill=skin)
    draw.rectangle((x - palm // 2, y, x + palm // 2, side), fill=skin)
    for finger, (degrees, up) in enumerate(zip(_ANGLES, FINGERS[label], strict=True)):
        thumb = finger == 0
        longer = rng.integers(18, 30) if thumb else rng.integers(30, 48)
        length = palm + (longer if up == "1" else 0 if thumb else 3)
        angle = np.deg2rad(degrees + rng.normal(0, 4))
        direction = np.array([np.cos(angle), np.sin(angle)])
        ends = [*((x, y) + palm / 2 * direction), *((x, y) + length * direction)]
        draw.line(ends, fill=skin, width=int(rng.integers(11, 16)))
    image = image.rotate(float(rng.normal(0, 8)), fillcolor=(150, 150, 150)).resize((HAND, HAND))
    return noisy(image.filter(ImageFilter.GaussianBlur(0.6)), rng, 10)


def noisy(image: Image.Image | Pixels, rng: Generator, deviation: float) -> Pixels:
    """Return the pixels with normally distributed noise."""
    pixels = np.asarray(image, np.float64)
    return np.clip(pixels + rng.normal(0, deviation, pixels.shape), 0, 255).astype(np.uint8)


def _colour(rng: Generator, low: int, high: int) -> tuple[int, ...]:
    return tuple(rng.integers(low, high, 3).tolist())


@cache
def _fonts() -> list[str]:
    """Return the font files of DejaVu that come with matplotlib."""
    folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
    return sorted(str(file) for file in folder.glob("DejaVu*.ttf") if "Display" not in file.name)
