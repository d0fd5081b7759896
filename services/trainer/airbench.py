"""The network of Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024: it learns from few passes."""

import math

import torch
from torch import Tensor, nn

STEM = 8  # filters of the first layer for each colour: both signs of the four patterns of 2x2 pixels
WIDTHS = (64, 128, 256)  # the paper has 64, 256, 256; these take 0.6 of its time on a CPU
HEAD_SCALE = 1 / 9  # of the features, so that training begins with small logits
FAST = 8  # factor of the norms' biases, which so learn at the paper's 64 times the rate of the other weights
MOMENTUM = 0.4  # share of a batch in the norms' running statistics


class Scale(nn.Module):
    """Multiply by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


class Norm(nn.BatchNorm2d):
    """Batch normalization whose bias learns FAST**2 times as fast with SGD.

    The gradient of the bias is FAST times as large, and a step of it changes the output FAST times as much.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, momentum=MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        mean, variance, bias = self.running_mean, self.running_var, FAST * self.bias
        return nn.functional.batch_norm(x, mean, variance, self.weight, bias, self.training, MOMENTUM, self.eps)


def airbench(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Build the network for images (channels, height, width) of any size; 1.2 million weights at 3 x 32 x 32.

    It differs from the paper's in SiLUs, which are faster than its GELUs and as good, in norms with factors, and in a
    first layer that needs no images to begin with. Its filters begin as a cosine transform, which separates the colours
    and edges of photos almost as well as the principal components of the images (Ahmed et al., "Discrete Cosine
    Transform", 1974).
    """
    colours, *sides = shape
    padding = 1 if min(sides) == 1 else 0
    inputs, side = STEM * colours, min(sides) + 2 * padding - 1
    stem = nn.Conv2d(colours, inputs, kernel_size=2, padding=padding, bias=False)
    waves = _waves(colours)
    with torch.no_grad():
        stem.weight.copy_(torch.cat([waves, -waves]))
    modules: list[nn.Module] = [stem, Norm(inputs), nn.SiLU()]
    for outputs in WIDTHS:
        pool = nn.MaxPool2d(2) if side > 1 else nn.Identity()
        side = max(side // 2, 1)
        for convolution in ([_conv(inputs, outputs), pool], [_conv(outputs, outputs)]):
            modules += [*convolution, Norm(outputs), nn.SiLU()]
        inputs = outputs
    return nn.Sequential(*modules, nn.AdaptiveMaxPool2d(1), nn.Flatten(), Scale(HEAD_SCALE), nn.Linear(inputs, classes))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    """Build a 3x3 convolution that begins by passing its input on in the first channels."""
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
    nn.init.dirac_(conv.weight[:inputs])
    return conv


def _waves(colours: int) -> Tensor:
    """Return the filters of a cosine transform of 2x2 pixels: float32 (4 * colours, colours, 2, 2)."""
    transform = torch.kron(_cosines(colours), torch.kron(_cosines(2), _cosines(2)))
    return transform.view(-1, colours, 2, 2)


def _cosines(size: int) -> Tensor:
    """Return the orthonormal matrix of the cosine transform (DCT-II), a wave in each row."""
    position = torch.arange(size)
    waves = torch.cos(math.pi * (2 * position + 1) * position[:, None] / (2 * size))
    return nn.functional.normalize(waves)
