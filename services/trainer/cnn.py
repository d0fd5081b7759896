"""The only place that says what the small residual network looks like."""

from torch import Tensor, nn

WIDTHS = (16, 32, 64)
LARGEST_SIDE = 64  # of the picture that the residual part sees


class Residual(nn.Module):
    """Adds a block's input to its output."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)  # type: ignore[no-any-return]


def block(inputs: int, outputs: int, *, pool: bool = False) -> nn.Sequential:
    """A 3x3 convolution, with `pool` a halving of height and width, batch normalisation and ReLU."""
    # Pooling before the normalisation normalises a quarter of the values. Rounding up keeps a side of 1 at 1.
    halve = [nn.MaxPool2d(2, ceil_mode=True)] if pool else []
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(conv, *halve, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def cnn(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """A residual network of 108 thousand weights (at 3 x 32 x 32 and 10 classes) for pictures of any size.

    Every halving of pictures over 64 pixels gets a block of its own, so that what a unit sees grows with the picture.
    """
    channels, *sides = shape
    narrow, middle, wide = WIDTHS
    shrink = []
    side = max(sides)
    while side > LARGEST_SIDE:
        shrink.append(block(narrow, narrow, pool=True))
        side = (side + 1) // 2
    return nn.Sequential(
        block(channels, narrow),
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
