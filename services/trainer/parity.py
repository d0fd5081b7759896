"""Comparison of an exported model with the network that it was exported from."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from contract.errors import JobFailed
from services.trainer.data import TrainingData
from services.trainer.evaluate import Runtime, Signature
from services.trainer.transforms import Normalize

MAX_IMAGES, MIN_IMAGES = 256, 32
PIXELS = 256 * 64 * 64  # fewer images if they are larger: PyTorch computes few of them a second
BATCH_SIZE = 16
TOLERANCE = 1e-3  # relative to the largest logit, or absolute if all logits are below 1


def parity(
    model: nn.Module | None, runtime: Runtime, data: TrainingData, folder: Path
) -> tuple[float | None, Signature]:
    """Return the largest absolute difference of a logit, and the exported model's signature.

    Compares up to MAX_IMAGES images, or fewer large ones, of the validation split, or of the training split if there
    is no validation split. The difference is None if there is no network in PyTorch.
    Raises JobFailed if the difference is over the tolerance, or the exported model does not run.
    """
    split = data.val if len(data.val) else data.train
    _, height, width = data.shape
    count = min(MAX_IMAGES, max(MIN_IMAGES, PIXELS // (height * width)))
    images, _ = split.take(np.arange(min(count, len(split))))
    file = folder / "parity.npy"
    np.save(file, images.numpy())
    logits = runtime.run(file)
    if model is None:
        return None, runtime.signature()
    difference = largest_difference(_logits(model, images, data), torch.from_numpy(logits))
    return difference, runtime.signature()


def largest_difference(expected: Tensor, exported: Tensor) -> float:
    """Return max |expected - exported|; raises JobFailed if it is over the tolerance or not a number."""
    difference = (expected - exported).abs().max().item()
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        raise JobFailed(f"the exported model differs from the trained one by {difference:.3g} in a logit")
    return difference


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, data: TrainingData) -> Tensor:
    normalize = Normalize(data.mean, data.std)
    return torch.cat([model(normalize(batch)) for batch in torch.split(images, BATCH_SIZE)])
