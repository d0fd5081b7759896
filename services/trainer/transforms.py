"""Transforms of image batches on the device: normalization and random augmentation."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SHIFT = 2 / 32  # largest shift as a share of the side: 2 pixels at 32


class Normalize(nn.Module):
    """Convert uint8 images (n, C, H, W) to float32: `(pixel / 255 - mean) / std` per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return (images.float() / 255 - self.mean) / self.std


def augment(images: Tensor) -> Tensor:
    """Mirror each image of (n, C, H, W) with probability 1/2 and shift it by up to 1/16 of its sides.

    Shifts reflect at the border. The dtype stays the same. Draws from torch's global generator of the images' device;
    the same seed gives the same result.
    """
    count, _, height, width = images.shape
    rows = _shifted_indices(count, height, images.device)
    columns = _shifted_indices(count, width, images.device)
    mirrored = torch.rand(count, 1, device=images.device) < 0.5
    columns = torch.where(mirrored, width - 1 - columns, columns)
    number = torch.arange(count, device=images.device)
    # One gather for everything; its result is (n, H, W, C) in memory, the layout that convolutions prefer.
    return images[number[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted_indices(count: int, side: int, device: torch.device) -> Tensor:
    """Return for each image the source index of each pixel along one axis: int64 (count, side)."""
    largest = min(round(side * SHIFT), side - 1)
    shift = torch.randint(-largest, largest + 1, (count, 1), device=device)
    index = (torch.arange(side, device=device) + shift).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index)
