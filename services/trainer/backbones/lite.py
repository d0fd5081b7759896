"""EfficientNet-Lite: Tan and Le, "EfficientNet", 2019, without squeeze-and-excitation and with ReLU6.

Layers have the names of the published weights, so that their state loads without renaming. `drop_connect`, the
paper's regularization in training from scratch, is left out.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FEATURES = 1280
# Of each stage: blocks, kernel, stride of the first block, expansion of the channels, channels. The multipliers change
# blocks and channels, but not the blocks of the first and the last stage, nor the stem and the head.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
DIVISOR = 8  # of the channels


class MBConv(nn.Module):
    """A mobile inverted bottleneck: widen, convolve each channel on its own, narrow; add the input if shapes match."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self._expand_conv = nn.Conv2d(inputs, wide, 1, bias=False) if expansion > 1 else None
        self._bn0 = norm(wide) if expansion > 1 else None
        self._kernel, self._stride = kernel, stride
        self._depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv = nn.Conv2d(wide, outputs, 1, bias=False)
        self._bn2 = norm(outputs)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = relu6(self._bn0(self._expand_conv(y)))
        y = relu6(self._bn1(self._depthwise_conv(padded(y, self._kernel, self._stride))))
        y = self._bn2(self._project_conv(y))
        return x + y if self._adds else y  # type: ignore[no-any-return]


class Lite(nn.Module):
    """Images float32 (n, 3, height, width) to features (n, 1280); lite0 has the multipliers 1 and 1."""

    def __init__(self, width: float = 1.0, depth: float = 1.0) -> None:
        super().__init__()
        self._conv_stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self._bn0 = norm(STEM)
        blocks, inputs = [], STEM
        self.stages: list[int] = []  # the blocks of each
        for stage, (count, kernel, stride, expansion, channels) in enumerate(STAGES):
            outputs = scaled(channels, width)
            scales = 0 < stage < len(STAGES) - 1
            self.stages.append(math.ceil(count * depth) if scales else count)
            for number in range(self.stages[-1]):
                blocks.append(MBConv(inputs, outputs, kernel, stride if number == 0 else 1, expansion))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, FEATURES, 1, bias=False)
        self._bn1 = norm(FEATURES)

    def forward(self, images: Tensor) -> Tensor:
        x = relu6(self._bn0(self._conv_stem(padded(images, 3, 2))))
        for block in self._blocks:
            x = block(x)
        x = relu6(self._bn1(self._conv_head(x)))
        return torch.mean(x, dim=(2, 3))


def scaled(channels: int, width: float) -> int:
    """Multiply channels and round to a multiple of DIVISOR, but never down by more than a tenth."""
    exact = channels * width
    rounded = max(DIVISOR, int(exact + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * exact else rounded


def relu6(x: Tensor) -> Tensor:
    """Clamp to 0..6. The ONNX exporter takes `nn.ReLU6` apart, which makes its export three times slower."""
    return x.clamp(0, 6)


def norm(channels: int) -> nn.BatchNorm2d:
    """Build batch normalization with the constants of the published network."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def padded(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Pad as TensorFlow's `SAME` does: an odd number of rows and columns is one more to the right and below."""
    height, width = ((math.ceil(side / stride) - 1) * stride + kernel - side for side in x.shape[2:])
    return functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
