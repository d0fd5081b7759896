"""What a model's validation images look like and how it answers them, to compare with what it is asked later."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contract.datasets import Label, Split
from contract.drift import DriftReference, NumberStatistic
from media.drift.counting import bin_counts
from media.drift.images import measure
from media.judging.temperature import probabilities
from services.trainer.data import IndexedImages
from services.trainer.temperature import Calibration

MOST_MEASURED = 5_000  # images; more do not change the result, but take time
AT_ONCE = 64


class MeasuredImages:
    """Measures a part of the images of a split, spread evenly, shard by shard."""

    def __init__(self, images: int) -> None:
        """`images` is the size of the split."""
        self._step = -(-images // MOST_MEASURED) or 1
        self._next = 0  # index of the next image to measure, in the shard that comes
        self._brightness: list[NDArray[np.float64]] = []
        self._sharpness: list[NDArray[np.float64]] = []

    def add(self, shard: Path) -> None:
        """Measure images of the next shard, a .npy file of uint8 (n, channels, height, width)."""
        images = np.load(shard, mmap_mode="r")
        chosen = images[self._next :: self._step]
        self._next = -(len(images) - self._next) % self._step
        for start in range(0, len(chosen), AT_ONCE):
            measured = measure(np.asarray(chosen[start : start + AT_ONCE]))
            self._brightness.append(measured.brightness)
            self._sharpness.append(measured.sharpness)

    @property
    def brightness(self) -> tuple[int, ...]:
        return _counts("brightness", self._brightness)

    @property
    def sharpness(self) -> tuple[int, ...]:
        return _counts("sharpness", self._sharpness)


def drift_reference(
    calibration: Calibration, classes: Sequence[Label], images: MeasuredImages, index: IndexedImages | None
) -> DriftReference | None:
    """Describe the validation images, of which all were measured; None without any.

    Widths and heights are those of the originals, as clients send them.
    """
    if calibration.logits is None or calibration.metrics is None:
        return None
    scores = probabilities(calibration.logits)
    predicted, confidence = np.bincount(scores.argmax(axis=1), minlength=len(classes)), scores.max(axis=1)
    widths, heights = index.sizes(Split.VAL) if index else (np.empty(0), np.empty(0))
    return DriftReference(
        classes=dict(zip(classes, predicted.tolist(), strict=True)),
        confidence=bin_counts("confidence", confidence),
        confidence_sum=float(confidence.sum()),
        brightness=images.brightness,
        sharpness=images.sharpness,
        width=_counts("width", [np.log2(np.maximum(widths, 1))] if len(widths) else []),
        height=_counts("height", [np.log2(np.maximum(heights, 1))] if len(heights) else []),
        accuracy=calibration.metrics.accuracy,
    )


def _counts(statistic: NumberStatistic, parts: Sequence[NDArray[np.float64]]) -> tuple[int, ...]:
    return bin_counts(statistic, np.concatenate(parts)) if parts else ()
