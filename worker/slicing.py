"""Divide the items of a job into parts of bounded size."""

import os
from functools import cache
from itertools import pairwise
from typing import Any

import structlog
from pydantic import Field, PositiveInt, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.base import Frozen, Whole
from contract.division import Division

DEPRECATED_NAME = "TIDEPOOL_PART_PICTURES"

log = structlog.get_logger()


class PartSettings(BaseSettings):
    """The largest number of images in one part of a job; a job with more images is divided.

    `TIDEPOOL_PART_PICTURES`, the old name, is read if `TIDEPOOL_PART_IMAGES` is not set, and logs a warning once.
    """

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    part_images: PositiveInt = Field(
        default=4096, description="Images in one part of a divided job; `TIDEPOOL_PART_PICTURES` is the old name."
    )

    @model_validator(mode="before")
    @classmethod
    def _read_deprecated_name(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "part_images" in values or DEPRECATED_NAME not in os.environ:
            return values
        _warn_deprecated()
        return values | {"part_images": os.environ[DEPRECATED_NAME]}


class Slice(Frozen):
    """The items from number `start` up to but not including `stop`."""

    start: Whole
    stop: Whole

    def __len__(self) -> int:
        return self.stop - self.start


def sliced(count: int, most: int) -> Division:
    """Divide `count` items, in order, into parts of at most `most`; their sizes differ by at most one.

    Each part is a Slice as JSON.
    """
    parts = -(-count // most)
    edges = [count * number // parts for number in range(parts + 1)]
    slices = (Slice(start=start, stop=stop) for start, stop in pairwise(edges))
    return Division(parts=tuple(part.model_dump() for part in slices))


@cache
def _warn_deprecated() -> None:
    log.warning("deprecated environment variable; set TIDEPOOL_PART_IMAGES instead", variable=DEPRECATED_NAME)
