"""Networks from architecture specs."""

import torch
from torch import nn

from contract.errors import BadModel
from contract.layers import Dense, Empty, Flatten, Layer, Relu
from contract.training import Airbench, Architecture, Cnn, Layers, Mlp, ResNet18
from services.trainer.airbench import airbench
from services.trainer.cnn import cnn
from services.trainer.layers import layers
from services.trainer.resnet import resnet18

MAX_PARAMETERS = 2**28  # 1 GiB of float32; an ONNX file without external data is limited to 2 GiB


def build(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build a network from float32 images (n, *shape) to logits (n, classes).

    Weights are drawn from torch's global generator. Raises BadModel if the layers do not fit together or have more than
    MAX_PARAMETERS weights.
    """
    with torch.device("meta"):  # counts the weights without allocating them
        if parameters(_build(architecture, shape, classes)) > MAX_PARAMETERS:
            raise BadModel(f"the network is too large: over {MAX_PARAMETERS} weights")
    return _build(architecture, shape, classes)


def parameters(model: nn.Module) -> int:
    """Return the number of trainable weights."""
    return sum(weights.numel() for weights in model.parameters())


def _build(architecture: Architecture, shape: tuple[int, int, int], classes: int) -> nn.Module:
    match architecture:
        case Cnn():
            return cnn(shape, classes, architecture.width)
        case Airbench():
            return airbench(shape, classes)
        case ResNet18():
            return resnet18(shape, classes)
        case Mlp():
            return layers(_mlp(architecture), shape, classes)
        case Layers():
            return layers(architecture.layers, shape, classes)


def _mlp(architecture: Mlp) -> tuple[Layer, ...]:
    hidden = [layer for width in architecture.hidden for layer in (Dense(dense=width), Relu(relu=Empty()))]
    return (Flatten(flatten=Empty()), *hidden)
