"""The only place that compares an exported model with the network it was exported from."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from contract.errors import JobFailed
from services.trainer.data import TrainingData
from services.trainer.evaluate import Signature, run
from services.trainer.normalize import Normalize

PICTURES = 256
PICTURES_AT_ONCE = 16
TOLERANCE = 1e-3  # of the largest logit, or of 1 if all are smaller


def parity(model: nn.Module, exported: Path, data: TrainingData, folder: Path) -> tuple[float, Signature]:
    """The largest absolute difference of logits over pictures of the validation split, of training if there is none.

    Raises JobFailed if it is over the tolerance.
    """
    pictures = data.val if len(data.val) else data.train
    images, _ = pictures.take(np.arange(min(PICTURES, len(pictures))))
    file = folder / "parity.npy"
    np.save(file, images.numpy())
    served, signature = run(exported, file)
    difference = largest_difference(_logits(model, images, data), torch.from_numpy(served))
    return difference, signature


def largest_difference(expected: Tensor, served: Tensor) -> float:
    """max |expected - served|; raises JobFailed if it is over the tolerance or no number."""
    difference = (expected - served).abs().max().item()
    if not difference <= TOLERANCE * max(1.0, expected.abs().max().item()):
        raise JobFailed(f"the exported model differs from the trained one by {difference:.3g} in a logit")
    return difference


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, data: TrainingData) -> Tensor:
    normalize = Normalize(data.mean, data.std)
    return torch.cat([model(normalize(some)) for some in torch.split(images, PICTURES_AT_ONCE)])
