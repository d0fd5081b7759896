"""Measure the variants of a model: logits and speed."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.inference.engine.all_cores import AllCoresModel
from services.inference.engine.loader import ModelLoader
from services.inference.settings import InferenceSettings

SPEED_VALUES = 2**20  # of the input, in one timed run
ROUNDS = (5, 50)  # at least and at most
SPEED_S = 1.0  # of all timed runs


def images_per_second(
    files: Mapping[str, Path], images: NDArray[np.uint8], clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Return the median speed of each file with the options of serving, normalization included.

    The batch is the largest that serves, or smaller for large images: a CPU is as fast with small batches. The files
    take turns, so that other load on the machine affects all of them.
    """
    settings = InferenceSettings()
    size = max(1, min(settings.max_batch, SPEED_VALUES // int(np.prod(images.shape[1:]))))
    batch = np.resize(images, (size, *images.shape[1:]))
    loader = ModelLoader(size, settings.threads, settings.placement)
    models = {name: loader.load(file) for name, file in files.items()}
    seconds: dict[str, list[float]] = {name: [] for name in models}
    started = clock()
    for number in range(ROUNDS[1]):
        if number >= ROUNDS[0] and clock() - started > SPEED_S:
            break
        for name, model in models.items():
            before = clock()
            model.run(batch)
            seconds[name].append(clock() - before)
    return {name: size / max(statistics.median(laps), 1e-9) for name, laps in seconds.items()}


def load(file: Path) -> AllCoresModel:
    """Load a file to compute logits with all cores, on the device that serves."""
    return AllCoresModel(file, InferenceSettings().placement)


def agreement(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    """Return the share of rows (0..1) with the same best class."""
    return float((logits.argmax(1) == reference.argmax(1)).mean())
