"""Which training images a network was slowest to learn: the mean loss of each over the epochs."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.datasets import Label
from contract.evaluation import SlowImage
from services.trainer.data import Names

LISTED = 20


class ImageLosses:
    """Sums of the cross-entropy of each of `count` images, and how often it was seen.

    The first epoch does not count: its losses depend more on when the network saw an image than on the image.
    """

    def __init__(self, count: int, stored: Tensor | None = None) -> None:
        """Start from zeros, or from the tensor of a checkpoint."""
        self._sums = np.zeros((2, count)) if stored is None else stored.numpy().copy()

    def add(self, epoch: int, images: NDArray[np.int64], losses: Sequence[Tensor]) -> None:
        """Add the losses of an epoch (from 1) by batch; `images` are the numbers of all of them, each once."""
        if epoch > 1:
            self._sums[:, images] += np.stack([torch.cat(list(losses)).double().cpu().numpy(), np.ones(len(images))])

    def to_tensor(self) -> Tensor:
        return torch.from_numpy(self._sums.copy())

    def slowest(self, classes: NDArray[np.int64], labels: Sequence[Label], names: Names) -> tuple[SlowImage, ...]:
        """List the images with the highest mean loss; none after a single epoch."""
        sums, seen = self._sums
        means = np.divide(sums, seen, out=np.zeros_like(sums), where=seen > 0)
        order = np.argsort(-means, kind="stable")
        order = order[means[order] > 0][:LISTED]
        return tuple(
            SlowImage(image=number, sha256=sha256, path=path, label=labels[classes[number]], loss=float(means[number]))
            for number, (sha256, path) in zip(order.tolist(), names(order), strict=True)
        )
