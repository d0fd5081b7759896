"""Transforms of image batches on the device: normalization and random augmentation."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.training import Augment

_LARGEST_ERASED = 0.5  # of each side of the image


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


def augment(images: Tensor, changes: Augment) -> Tensor:
    """Change each of the uint8 images (n, C, H, W) at random, except `mix`; the dtype stays the same.

    Draws from torch's global generator of the images' device; the same seed gives the same result.
    """
    if changes.flip or changes.shift:
        images = _moved(images, changes)
    if changes.crop:
        images = _cropped(images, changes.crop)
    if changes.colour:
        images = _coloured(images, changes.colour)
    return _erased(images, changes.erase) if changes.erase else images


def mixed(images: Tensor, targets: Tensor, mix: float) -> tuple[Tensor, Tensor]:
    """Blend normalized images and one-hot targets (n, classes) in pairs: mixup, Zhang et al., 2017."""
    share = torch.distributions.Beta(mix, mix).sample().item()
    partner = torch.randperm(len(images), device=images.device)
    return images.lerp(images[partner], 1 - share), targets.lerp(targets[partner], 1 - share)


def _moved(images: Tensor, changes: Augment) -> Tensor:
    """Mirror each image with probability 1/2, and shift it; shifts reflect at the border."""
    count, _, height, width = images.shape
    rows = _shifted_indices(count, height, changes.shift, images.device)
    columns = _shifted_indices(count, width, changes.shift, images.device)
    if changes.flip:
        mirrored = torch.rand(count, 1, device=images.device) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    number = torch.arange(count, device=images.device)
    # One gather for everything; its result is (n, H, W, C) in memory, the layout that convolutions prefer.
    return images[number[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shifted_indices(count: int, side: int, share: float, device: torch.device) -> Tensor:
    """Return for each image the source index of each pixel along one axis: int64 (count, side)."""
    largest = min(round(side * share), side - 1)
    shift = torch.randint(-largest, largest + 1, (count, 1), device=device)
    index = (torch.arange(side, device=device) + shift).abs()
    return torch.where(index < side, index, 2 * (side - 1) - index)


def _cropped(images: Tensor, crop: float) -> Tensor:
    """Scale a random part of each image, with at least `1 - crop` of its area, to the whole image (bilinear)."""
    count = len(images)
    area = 1 - crop * torch.rand(count, device=images.device)
    ratio = torch.exp((2 * torch.rand(count, device=images.device) - 1) * crop / 2)  # of width to height
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    x, y = ((2 * torch.rand(count, device=images.device) - 1) * (1 - side) for side in (width, height))
    none = torch.zeros_like(x)
    affine = torch.stack([torch.stack([width, none, x], 1), torch.stack([none, height, y], 1)], 1)
    grid = functional.affine_grid(affine, list(images.shape), align_corners=False)
    sampled = functional.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)
    return sampled.round().to(images.dtype)


def _coloured(images: Tensor, strength: float) -> Tensor:
    """Change brightness, contrast and saturation by factors of 1 - strength to 1 + strength."""
    factors = 1 + strength * (2 * torch.rand(3, len(images), 1, 1, 1, device=images.device) - 1)
    brightness, contrast, saturation = factors
    pixels = images.float() * brightness
    pixels = torch.lerp(pixels.mean((1, 2, 3), keepdim=True), pixels, contrast)
    if images.shape[1] > 1:
        pixels = torch.lerp(pixels.mean(1, keepdim=True), pixels, saturation)
    return pixels.round().clamp(0, 255).to(images.dtype)


def _erased(images: Tensor, share: float) -> Tensor:
    """Set a random rectangle to the image's mean colour, in this share of the images."""
    count, _, height, width = images.shape
    inside = torch.rand(count, 1, 1, device=images.device) < share
    for side, axis in ((height, -1), (width, -2)):
        size = side * _LARGEST_ERASED * torch.rand(count, 1, device=images.device)
        start = (side - size) * torch.rand(count, 1, device=images.device)
        position = torch.arange(side, device=images.device) + 0.5
        inside = inside & ((position >= start) & (position < start + size)).unsqueeze(axis)
    mean = images.float().mean((2, 3), keepdim=True).round().to(images.dtype)
    return torch.where(inside.unsqueeze(1), mean, images)
