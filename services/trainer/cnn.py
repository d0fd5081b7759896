"""The small residual network, the default architecture from scratch."""

from torch import Tensor, nn

WIDTHS = (16, 32, 64)
LARGEST_SIDE = 64  # of the input of the residual part, in pixels


class Residual(nn.Module):
    """Add a block's input to its output."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)  # type: ignore[no-any-return]


def block(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    """Build a 3x3 convolution, max pooling that halves height and width if `pool`, batch normalization and ReLU."""
    # Pooling first leaves a quarter of the values to normalize. Rounding up keeps a side of 1 at 1.
    halve = [nn.MaxPool2d(2, ceil_mode=True)] if pool else []
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, *halve, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def cnn(shape: tuple[int, int, int], classes: int, width: int = 1) -> nn.Sequential:
    """Build a residual network for images (channels, height, width) of any size; `width` multiplies its channels.

    It has 108 thousand weights at 3 x 32 x 32, 10 classes and width 1. Images over 64 pixels are halved until they fit,
    with one more block for each halving, so that the receptive field grows with the image.
    """
    colours, *sides = shape
    narrow, middle, wide = (width * channels for channels in WIDTHS)
    shrink = []
    side = max(sides)
    while side > LARGEST_SIDE:
        shrink.append(block(narrow, narrow, pool=True))
        side = (side + 1) // 2
    return nn.Sequential(
        block(colours, narrow),
        *shrink,
        block(narrow, middle, pool=True),
        Residual(block(middle, middle)),
        block(middle, wide, pool=True),
        Residual(block(wide, wide)),
        nn.MaxPool2d(2, ceil_mode=True),
        block(wide, wide),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(wide, classes),
    )
