"""Find the operator that computes a graph's output, to know whether outputs are logits or probabilities."""

from collections.abc import Mapping
from typing import Literal

import onnx
from onnx import inliner

OutputLayer = Literal["softmax", "sigmoid", "linear", "other"]

_DOMAINS = ("", "ai.onnx", "com.microsoft")
_LAYERS: dict[str, OutputLayer] = {
    "Softmax": "softmax",
    "QLinearSoftmax": "softmax",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "sigmoid",
    "QLinearSigmoid": "sigmoid",
    "Gemm": "linear",
    "MatMul": "linear",
    "FusedMatMul": "linear",
    "FusedGemm": "other",  # it ends with an activation
    "Conv": "linear",
    "LogSoftmax": "linear",
}
# Change the form of values, but not what they mean.
_SAME = {"Identity", "Cast", "CastLike", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Dropout"}
_SAME |= {"QuantizeLinear", "DequantizeLinear"}
_AFFINE = {"Add", "Sub", "Mul", "Div"}  # with a constant, such as the bias of a dense layer


def output_layer(model: onnx.ModelProto) -> OutputLayer:
    """Return the kind of layer that gives the first output of a checked model."""
    if model.functions:
        model = inliner.inline_local_functions(model)
    graph = model.graph
    if not graph.output:
        return "other"
    makers = {name: node for node in graph.node for name in node.output[:1]}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for name, node in makers.items() if node.op_type == "Constant"}
    value = graph.output[0].name
    layer = _LAYERS.get(_last_operator(value, makers, frozenset()), "other")
    if layer == "other" and _LAYERS.get(_last_operator(value, makers, constants)) == "linear":
        return "linear"
    return layer


def _last_operator(value: str, makers: Mapping[str, onnx.NodeProto], constants: frozenset[str] | set[str]) -> str:
    """Return the type of the last operator that gives `value` its meaning, or "" if it comes from an input.

    Affine operators with one of the `constants` are skipped, too.
    """
    while (node := makers.get(value)) is not None:
        inputs = [name for name in node.input if name not in constants]
        if node.op_type in _SAME:
            value = node.input[0]
        elif node.op_type in _AFFINE and len(inputs) == 1 < len(node.input):
            value = inputs[0]
        else:
            return str(node.op_type) if node.domain in _DOMAINS else ""
    return ""
