"""The only place that computes the mean and standard deviation that a data set is normalised with."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

STD_FLOOR = 1 / 255  # one grey level: a channel that never changes is divided by this, not by zero
_BLOCK_VALUES = 2**20


def mean_and_std(shards: Iterable[Path]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per channel over all pixels of .npy files of uint8 (count, channels, height, width), scaled to 0..1.

    The population standard deviation, at least STD_FLOOR. The sums are whole numbers, so nothing is lost to rounding,
    whatever the number of pictures; the files are mapped and read in blocks.
    """
    count = 0
    sums: list[int] = []
    squares: list[int] = []
    for shard in shards:
        images = np.load(shard, mmap_mode="r")
        pictures, channels, height, width = images.shape
        count += pictures * height * width
        sums, squares = sums or [0] * channels, squares or [0] * channels
        step = max(1, _BLOCK_VALUES // (channels * height * width))
        for start in range(0, pictures, step):
            for channel in range(channels):
                values = images[start : start + step, channel].astype(np.uint32).ravel()
                sums[channel] += int(values.sum(dtype=np.uint64))
                squares[channel] += int(np.square(values).sum(dtype=np.uint64))
    mean = [total / (255 * count) for total in sums]
    variance = [(count * square - total**2) / (255 * count) ** 2 for total, square in zip(sums, squares, strict=True)]
    return tuple(mean), tuple(max(STD_FLOOR, value**0.5) for value in variance)
