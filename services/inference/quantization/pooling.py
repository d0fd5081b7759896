"""Move batch normalization and ReLU in front of max pooling, where they become part of an 8-bit convolution."""

from collections.abc import Iterator

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

EPSILON = 1e-5  # the operator's default

Weights = dict[str, NDArray[np.float32]]


def pool_last(model: onnx.ModelProto) -> None:
    """Rewrite Conv, MaxPool, BatchNormalization, Relu as Conv, Relu, MaxPool, in any part of that sequence.

    A factor that is not negative, a shift and ReLU commute with the maximum, so this is exact but for rounding. A
    normalization with a negative factor stays. Between a pooling and the next convolution neither has an 8-bit kernel,
    so the small CNN would compute a third of its time in float32.
    """
    graph = model.graph
    weights: Weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for conv, pool, norm in list(_sequences(graph, "BatchNormalization")):
        _fold(graph, weights, conv, pool, norm)
    for conv, pool, relu in list(_sequences(graph, "Relu")):
        pooled, unpooled = relu.output[0], f"{conv.output[0]}_rectified"
        relu.input[0], relu.output[0] = conv.output[0], unpooled
        pool.input[0], pool.output[0] = unpooled, pooled
        graph.node.remove(relu)
        graph.node.insert(list(graph.node).index(pool), relu)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _fold(
    graph: onnx.GraphProto, weights: Weights, conv: onnx.NodeProto, pool: onnx.NodeProto, norm: onnx.NodeProto
) -> None:
    """Fold a normalization into its convolution, unless a factor is negative or a weight is not a constant."""
    if not {*norm.input[1:], *conv.input[1:]} <= weights.keys():
        return
    scale, shift, mean, variance = (weights[name] for name in norm.input[1:])
    factor = scale / np.sqrt(variance + _epsilon(norm))
    if (factor < 0).any():
        return
    kernel, bias = weights[conv.input[1]], weights[conv.input[2]] if len(conv.input) > 2 else 0.0
    folded = {
        f"{conv.output[0]}_folded_kernel": kernel * factor.reshape(-1, *[1] * (kernel.ndim - 1)),
        f"{conv.output[0]}_folded_bias": (bias - mean) * factor + shift,
    }
    graph.initializer.extend(numpy_helper.from_array(array.astype(np.float32), name) for name, array in folded.items())
    image = conv.input[0]
    del conv.input[:]
    conv.input.extend([image, *folded])
    pool.output[0] = norm.output[0]
    graph.node.remove(norm)


def _sequences(
    graph: onnx.GraphProto, operator: str
) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto, onnx.NodeProto]]:
    """Yield each convolution whose output only goes to a max pooling, whose output only goes to this operator."""
    makers = {name: node for node in graph.node for name in node.output}
    uses = [name for node in graph.node for name in node.input] + [tensor.name for tensor in graph.output]
    for last in graph.node:
        pool = makers.get(last.input[0]) if last.op_type == operator else None
        conv = makers.get(pool.input[0]) if pool is not None and pool.op_type == "MaxPool" else None
        if pool is None or conv is None or conv.op_type != "Conv" or len(pool.output) > 1:
            continue
        if uses.count(pool.output[0]) == uses.count(conv.output[0]) == 1:
            yield conv, pool, last


def _epsilon(norm: onnx.NodeProto) -> float:
    return next((attribute.f for attribute in norm.attribute if attribute.name == "epsilon"), EPSILON)
