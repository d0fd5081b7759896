"""Normalize uint8 pixels into a model's input."""

import numpy as np
from numpy.typing import NDArray

from contract.errors import BadModel
from contract.images import Preprocessing
from services.inference.engine.fit import AXES


class InputBuffer:
    """A batch of a model's inputs, used again for each run.

    `(pixel * scale / 255 - mean) / std` per channel is computed as `pixel * factor + shift`.
    """

    def __init__(self, preprocessing: Preprocessing, rows: int) -> None:
        """Allocate `rows` black images; raises BadModel unless each channel has a mean and a positive std."""
        mean, std = np.array(preprocessing.mean), np.array(preprocessing.std)
        image = preprocessing.image.shape
        if not mean.shape == std.shape == image[:1] or not (std > 0).all():
            raise BadModel(f"preprocessing needs {image[0]} mean and {image[0]} positive std values, one per channel")
        self._factor = (preprocessing.scale / (255 * std)).astype(np.float32).reshape(-1, 1, 1)
        self._shift = (-mean / std).astype(np.float32).reshape(-1, 1, 1)
        axes = AXES[preprocessing.layout]
        self._batch = np.empty((rows, *(image[axis] for axis in axes)), preprocessing.dtype)
        # The same memory, with axes in the order of images.
        self._images: NDArray[np.generic] = (
            self._batch[:, np.newaxis]
            if preprocessing.layout == "NHW"
            else self._batch.transpose(0, *(1 + axes.index(axis) for axis in range(3)))
        )
        self.fill(np.zeros((rows, *image), np.uint8))

    @property
    def nbytes(self) -> int:
        return self._batch.nbytes

    def fill(self, images: NDArray[np.uint8]) -> None:
        """Normalize uint8 (n, channels, height, width) into the first n rows."""
        out = self._images[: len(images)]
        if out.dtype == np.uint8:
            out[...] = images
        elif out.dtype == np.float32:
            np.multiply(images, self._factor, out=out, dtype=np.float32)
            np.add(out, self._shift, out=out)
        else:
            out[...] = images * self._factor + self._shift

    def rows(self, count: int) -> NDArray[np.generic]:
        """Return a view of the first `count` inputs."""
        return self._batch[:count]
