"""Pixels as a network's input."""

import torch

from services.trainer.normalize import Normalize


def test_normalize_per_channel() -> None:
    images = torch.tensor([0, 255], dtype=torch.uint8).view(1, 2, 1, 1)

    normalized = Normalize(mean=(0.5, 0.25), std=(0.25, 0.5))(images)

    assert normalized.dtype == torch.float32
    assert normalized.flatten().tolist() == [-2.0, 1.5]
