"""Layer lists, an alternative to a named architecture, and the shapes of their layers."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from contract.base import Frozen
from contract.errors import BadModel

Width = Annotated[int, Field(strict=True, ge=1, le=4096)]
Window = Annotated[int, Field(strict=True, ge=1, le=64)]
Shape = tuple[int, ...]


class Empty(Frozen):
    """The `{}` of a layer that takes no argument."""


class Conv(Frozen):
    conv: Width = Field(description="Output channels.")
    kernel: Window = 3
    stride: Window = 1
    padding: Literal["same", "valid"] = "same"

    def out(self, shape: Shape) -> Shape:
        _need_image(shape)
        pad = self.kernel // 2 if self.padding == "same" else 0
        return (self.conv, *(_window(side + 2 * pad, self.kernel, self.stride) for side in shape[1:]))


class MaxPool(Frozen):
    maxpool: Window

    def out(self, shape: Shape) -> Shape:
        return _pooled(shape, self.maxpool)


class AvgPool(Frozen):
    avgpool: Window

    def out(self, shape: Shape) -> Shape:
        return _pooled(shape, self.avgpool)


class GlobalAvgPool(Frozen):
    globalavgpool: Empty

    def out(self, shape: Shape) -> Shape:
        _need_image(shape)
        return (shape[0],)


class Flatten(Frozen):
    flatten: Empty

    def out(self, shape: Shape) -> Shape:
        size = 1
        for side in shape:
            size *= side
        return (size,)


class Dense(Frozen):
    dense: Width = Field(description="Output features.")

    def out(self, shape: Shape) -> Shape:
        if len(shape) != 1:
            raise BadModel("needs a flat input; put {'flatten': {}} or {'globalavgpool': {}} before it")
        return (self.dense,)


class _SameShape(Frozen):
    def out(self, shape: Shape) -> Shape:
        return shape


class Relu(_SameShape):
    relu: Empty


class Gelu(_SameShape):
    gelu: Empty


class BatchNorm(_SameShape):
    batchnorm: Empty


class Dropout(_SameShape):
    dropout: Annotated[float, Field(strict=True, ge=0, lt=1)]


def _need_image(shape: Shape) -> None:
    if len(shape) != 3:
        raise BadModel("needs an image as input, but the layers before it made a flat vector")


def _window(side: int, size: int, stride: int) -> int:
    out = (side - size) // stride + 1
    if side < size or out < 1:
        raise BadModel(f"its window of {size} does not fit into {side} pixels")
    return out


def _pooled(shape: Shape, size: int) -> Shape:
    _need_image(shape)
    return (shape[0], *(_window(side, size, size) for side in shape[1:]))


_LAYERS = (Conv, MaxPool, AvgPool, GlobalAvgPool, Flatten, Dense, Relu, Gelu, BatchNorm, Dropout)
_KINDS = {next(iter(layer.model_fields)): layer for layer in _LAYERS}


def kind_of(layer: Any) -> str | None:
    """Return the kind (`conv`, `dense`, …) of a layer, raw or parsed; None if unknown."""
    names = layer if isinstance(layer, dict) else getattr(type(layer), "model_fields", ())
    return next((name for name in names if name in _KINDS), None)


Layer = Annotated[
    Annotated[Conv, Tag("conv")]
    | Annotated[MaxPool, Tag("maxpool")]
    | Annotated[AvgPool, Tag("avgpool")]
    | Annotated[GlobalAvgPool, Tag("globalavgpool")]
    | Annotated[Flatten, Tag("flatten")]
    | Annotated[Dense, Tag("dense")]
    | Annotated[Relu, Tag("relu")]
    | Annotated[Gelu, Tag("gelu")]
    | Annotated[BatchNorm, Tag("batchnorm")]
    | Annotated[Dropout, Tag("dropout")],
    Discriminator(
        kind_of,
        custom_error_type="unknown_layer",
        custom_error_message=f"is not a known layer; use one of {', '.join(_KINDS)}",
    ),
]


MAX_VALUES = 2**26  # activations of one image, or weights of one dense layer: 256 MiB of float32


def shapes(layers: tuple[Layer, ...], image: tuple[int, int, int]) -> list[Shape]:
    """Return the shape after each layer, without the batch axis; raises BadModel, naming the layer at fault."""
    outputs: list[Shape] = []
    shape: Shape = image
    for index, layer in enumerate(layers):
        where = f"layers[{index}] ({kind_of(layer)})"
        try:
            after = layer.out(shape)
        except BadModel as error:
            raise BadModel(f"{where} {error.message}") from None
        weights = after[0] * shape[0] if isinstance(layer, Dense) else 0
        if max(Flatten(flatten=Empty()).out(after)[0], weights) > MAX_VALUES:
            raise BadModel(f"{where} is too large: over {MAX_VALUES} values")
        outputs.append(after)
        shape = after
    if len(shape) != 1:
        raise BadModel("the layers end in an image; end with {'flatten': {}} or {'globalavgpool': {}}")
    return outputs
