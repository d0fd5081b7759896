"""Decides size, mode and resize of a dataset's images from the images, where the request leaves that open."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from contract.choices import Choice
from contract.images import CHANNELS, ImageRequest, ImageSpec, Mode, Resize

SIDES = (8, 16, 24, 28, 32, 48, 64, 96, 128, 160, 192, 224)
MOST_BYTES = 4 * 2**30  # of all pixels of a dataset
_SMALL = 64  # pixels a side
_SAME_ASPECT = 0.02
_LOSS = 0.4  # the share of an image that is too much to crop
_LOSSES = 0.25  # the share of images that may lose more than that
_ENOUGH = "what networks pretrained on a million photos take, and more is slow to train"


class Sample(NamedTuple):
    """The widths and heights (count, 2) of images that were looked at, out of `total`, and whether all are grey."""

    sizes: NDArray[np.int64]
    grey: bool
    total: int

    @property
    def subject(self) -> str:
        """The images that were looked at, in words."""
        count = len(self.sizes)
        return f"the {count:,} images" if count >= self.total else f"the {count:,} images looked at"


def decide(request: ImageRequest, sample: Sample) -> tuple[ImageSpec, tuple[Choice, ...]]:
    """Return the image spec, and a choice with its reason for each field that the request leaves open."""
    choices: list[Choice] = []
    mode = request.mode
    if mode == "auto":
        mode, because = _mode(sample)
        choices.append(Choice(what="image.mode", value=mode, because=because))
    size = request.size
    if size == "auto":
        size, because = _size(sample, CHANNELS[mode])
        choices.append(Choice(what="image.size", value=list(size), because=because))
    resize = request.resize
    if resize == "auto":
        resize, because = _resize(sample, size)
        choices.append(Choice(what="image.resize", value=resize, because=because))
    return ImageSpec(size=size, mode=mode, resize=resize), tuple(choices)


def _mode(sample: Sample) -> tuple[Mode, str]:
    if sample.grey and len(sample.sizes):
        return "L", f"no colour is in any of {sample.subject}"
    return "RGB", "there are images in colour" if len(sample.sizes) else "no image could be read to decide it"


def _size(sample: Sample, channels: int) -> tuple[tuple[int, int], str]:
    if not len(sample.sizes):
        return (32, 32), "no image could be read to decide it"
    width, height = (int(side) for side in sample.sizes[0])
    small = max(width, height) <= _SMALL and height * width * channels * sample.total <= MOST_BYTES
    if small and (sample.sizes == sample.sizes[0]).all():
        return (height, width), f"{_all(sample)} {width} pixels wide and {height} high"
    typical = int(np.median(sample.sizes.min(axis=1)))
    side = max((side for side in SIDES if side <= typical), default=SIDES[0])
    because = f"half of {sample.subject} are at least {typical:,} pixels on the shorter side"
    fitting = max((s for s in SIDES if s * s * channels * sample.total <= MOST_BYTES), default=SIDES[0])
    if fitting < side:
        because += f"; at more than {fitting} pixels, {sample.total:,} of them would take over {MOST_BYTES >> 30} GiB"
        side = fitting
    elif side == SIDES[-1] and typical > side:
        because += f"; {side} is {_ENOUGH}"
    elif side < typical:
        because += f"; {side} is the next smaller of the usual sizes"
    return (side, side), because


def _resize(sample: Sample, size: Sequence[int]) -> tuple[Resize, str]:
    height, width = size
    if not len(sample.sizes):
        return "crop", "no image could be read to decide it"
    aspects = (sample.sizes[:, 0] / sample.sizes[:, 1]) / (width / height)
    kept = np.minimum(aspects, 1 / aspects)  # of an image, if it is cropped
    if kept.min() >= 1 - _SAME_ASPECT:
        return "stretch", f"{_all(sample)} {_shape(width, height)}, like the size"
    losing = float((kept < 1 - _LOSS).mean())
    if losing >= _LOSSES:
        return "pad", f"cropping would cut off more than {_LOSS:.0%} of each of {losing:.0%} of {sample.subject}"
    median = float(1 - np.median(kept))
    return "crop", f"cropping cuts off {median:.0%} of the typical image, at the edges"


def _all(sample: Sample) -> str:
    return f"all of {sample.subject} are"


def _shape(width: int, height: int) -> str:
    return "square" if width == height else f"{width}:{height}"
