"""A network in three parts: an adapter of the images, a body that computes features, and a linear head."""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from contract.base import Frozen
from contract.training import Airbench, Architecture, Cnn, ResNet18
from services.trainer.backbones.registry import BACKBONES
from services.trainer.model import build


class Blueprint(Frozen):
    """A network without its weights: an architecture or the name of a backbone.

    `shape` is (channels, height, width) of the images. `shrink` averages squares of that many pixels a side before the
    body; `resize` scales the images to (height, width). `channels` are those that an architecture takes, if it was
    trained with other images.
    """

    shape: tuple[int, int, int]
    classes: int
    architecture: Architecture = Cnn()
    backbone: str | None = None
    shrink: int = 1
    resize: tuple[int, int] | None = None
    channels: int | None = None

    def build(self) -> "Network":
        """Build the network with weights from torch's global generator; raises BadModel."""
        channels, height, width = self.shape
        if self.backbone is None:
            seen = self.resize or (height // self.shrink, width // self.shrink)
            taken = self.channels or channels
            layers = build(self.architecture, (taken, *seen), self.classes)
            adapter = Adapter(taken // channels, self.shrink, self.resize)
            return Network(adapter, layers[:-1], layers[-1])  # type: ignore[index]
        backbone = BACKBONES[self.backbone]
        adapter = Adapter(3 // channels, self.shrink, self.resize)
        body = nn.Sequential(backbone.body(), UnitLength(backbone.features))
        return Network(adapter, body, nn.Linear(backbone.features, self.classes))

    def of_images(self, shape: tuple[int, int, int], classes: int) -> Self:
        """Return the blueprint of the same network for other images or classes.

        Images of another size are scaled to the size that the body was trained with, unless it takes any size.
        """
        changes: dict[str, object] = {"shape": shape, "classes": classes}
        if self.backbone is None and shape[0] != self.shape[0]:
            changes["channels"] = self.channels or self.shape[0]
        takes_any = self.shrink == 1 and isinstance(self.architecture, Cnn | Airbench | ResNet18)
        if shape[1:] != self.shape[1:] and self.resize is None and not takes_any:
            _, height, width = self.shape
            changes |= {"shrink": 1, "resize": (height // self.shrink, width // self.shrink)}
        return self.model_copy(update=changes)


class Network(nn.Module):
    """Normalized images (n, C, H, W) to logits (n, classes)."""

    def __init__(self, adapter: "Adapter", body: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.adapter: Adapter = adapter
        self.body = body
        self.head: nn.Linear = head

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.adapter(images)))  # type: ignore[no-any-return]

    @property
    def features(self) -> nn.Sequential:
        """The network without its head."""
        return nn.Sequential(self.adapter, self.body)


class Adapter(nn.Module):
    """Fits images to the body: repeat the grey channel, average squares of pixels, scale (bilinear)."""

    def __init__(self, repeat: int, shrink: int, size: tuple[int, int] | None) -> None:
        super().__init__()
        self.repeat, self.shrink, self.size = repeat, shrink, size

    def forward(self, images: Tensor) -> Tensor:
        if self.shrink > 1:
            images = functional.avg_pool2d(images, self.shrink)
        if self.size is not None and tuple(images.shape[2:]) != self.size:
            images = functional.interpolate(images, size=self.size, mode="bilinear", align_corners=False)
        return torch.cat([images] * self.repeat, dim=1) if self.repeat > 1 else images


class UnitLength(nn.Module):
    """Scale each row to a root mean square of 1, so that a head sees only the direction of the features."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = features**0.5

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(features.float()) * self.scale  # type: ignore[no-any-return]
