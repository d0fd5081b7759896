"""The only place that changes training pictures at random."""

import torch
from torch import Tensor

SHIFT = 2 / 32  # the largest shift as a share of the side: 2 pixels at 32


def augment(images: Tensor) -> Tensor:
    """Mirror every second picture of (n, C, H, W) and shift each by up to 1/16 of its sides, reflected at the border.

    Draws from torch's global generator of the pictures' device; the same seed gives the same pictures.
    """
    count, _, height, width = images.shape
    rows = _shifted(count, height, images.device)
    columns = _shifted(count, width, images.device)
    mirrored = torch.rand(count, 1, device=images.device) < 0.5
    columns = torch.where(mirrored, width - 1 - columns, columns)
    picture = torch.arange(count, device=images.device)
    # One gather does it all; its result is (n, H, W, C) in memory, which is the order that convolutions like.
    return images[picture[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted(count: int, side: int, device: torch.device) -> Tensor:
    """For each picture the source index of each of its pixels along one axis: int64 (count, side)."""
    most = min(round(side * SHIFT), side - 1)
    shift = torch.randint(-most, most + 1, (count, 1), device=device)
    index = (torch.arange(side, device=device) + shift).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index)
