"""Layer lists as PyTorch modules."""

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


def layers(specs: tuple[Layer, ...], shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Build the layers in `specs`, followed by a dense layer with one output per class.

    Raises BadModel if a layer does not fit its input.
    """
    outputs = shapes(specs, shape)
    modules = [_module(layer, input_shape) for layer, input_shape in zip(specs, [shape, *outputs], strict=False)]
    return nn.Sequential(*modules, nn.Linear(outputs[-1][0], classes))


def _module(layer: Layer, input_shape: Shape) -> nn.Module:  # noqa: PLR0911
    """Build the module of one layer; `input_shape` has no batch axis."""
    match layer:
        case Conv():
            # The same padding on every side, as in contract.layers: an even kernel adds a pixel to the output.
            padding = layer.kernel // 2 if layer.padding == "same" else 0
            return nn.Conv2d(input_shape[0], layer.conv, layer.kernel, layer.stride, padding)
        case MaxPool():
            return nn.MaxPool2d(layer.maxpool)
        case AvgPool():
            return nn.AvgPool2d(layer.avgpool)
        case GlobalAvgPool():
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case Flatten():
            return nn.Flatten()
        case Dense():
            return nn.Linear(input_shape[0], layer.dense)
        case Relu():
            return nn.ReLU()
        case Gelu():
            return nn.GELU()
        case BatchNorm():
            return nn.BatchNorm2d(input_shape[0]) if len(input_shape) == 3 else nn.BatchNorm1d(input_shape[0])
        case Dropout():
            return nn.Dropout(layer.dropout)
