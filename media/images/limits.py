"""Limits on the images that are decoded, in pixels and in what runs at once."""

import threading
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LARGE = 16 * 2**20  # pixels in memory; images above it are decoded one at a time in a process

_ONE_LARGE = threading.Lock()


class ImageSettings(BaseSettings):
    """The largest image that is decoded, for training and predictions alike."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    max_pixels: int = Field(
        default=128 * 2**20,
        ge=2**20,
        le=2**30,
        description="Width × height of the largest image that is decoded. A pixel takes 4 to 12 bytes of memory. "
        "Baseline JPEGs may have 4 times as many, as they are decoded at a reduced scale.",
    )


@cache
def max_pixels() -> int:
    """Return the configured limit."""
    return ImageSettings().max_pixels


def turn(pixels: int, alone: bool) -> AbstractContextManager[object]:
    """Return a context for decoding an image with `pixels` pixels in memory; large ones, and those `alone`, queue."""
    return _ONE_LARGE if alone or pixels > LARGE else nullcontext()
