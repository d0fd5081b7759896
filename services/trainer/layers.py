"""The only place that turns a layer list into PyTorch modules."""

from torch import nn

from contract.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Flatten,
    Gelu,
    GlobalAvgPool,
    Layer,
    MaxPool,
    Relu,
    Shape,
    shapes,
)


def layers(listed: tuple[Layer, ...], shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """The listed layers and a dense layer to the classes; raises BadModel where a layer does not fit its input."""
    found = shapes(listed, shape)
    modules = [_module(layer, before) for layer, before in zip(listed, [shape, *found], strict=False)]
    return nn.Sequential(*modules, nn.Linear(found[-1][0], classes))


def _module(layer: Layer, before: Shape) -> nn.Module:  # noqa: PLR0911
    """The module of one layer, whose input has the shape `before` (without the batch axis)."""
    match layer:
        case Conv():
            # The same padding on every side, as contract.layers counts it: an even kernel adds a pixel.
            padding = layer.kernel // 2 if layer.padding == "same" else 0
            return nn.Conv2d(before[0], layer.conv, layer.kernel, layer.stride, padding)
        case MaxPool():
            return nn.MaxPool2d(layer.maxpool)
        case AvgPool():
            return nn.AvgPool2d(layer.avgpool)
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Flatten():
            return nn.Flatten()
        case Dense():
            return nn.Linear(before[0], layer.dense)
        case Relu():
            return nn.ReLU()
        case Gelu():
            return nn.GELU()
        case BatchNorm():
            return nn.BatchNorm2d(before[0]) if len(before) == 3 else nn.BatchNorm1d(before[0])
        case Dropout():
            return nn.Dropout(layer.dropout)
