"""ResNet-18: He et al., "Deep Residual Learning", 2015."""

from torch import Tensor, nn
from torch.nn import functional

LARGEST_SMALL_SIDE = 64  # in pixels; larger images get the stem of table 1 (ImageNet), others that of section 4.2


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut with a projection if the shape changes (option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def resnet18(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Build ResNet-18 for images (channels, height, width) of any size."""
    channels, *sides = shape
    if max(sides) <= LARGEST_SMALL_SIDE:
        stem = [
            nn.Conv2d(channels, 64, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
        ]
    else:
        stem = [
            nn.Conv2d(channels, 64, kernel_size=7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        ]
    stages = [
        BasicBlock(inputs, outputs, stride)
        for previous, width, stride_of_first in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        for inputs, outputs, stride in ((previous, width, stride_of_first), (width, width, 1))
    ]
    net = nn.Sequential(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return net
