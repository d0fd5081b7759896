"""ResNet-18 and ResNet-50 as ONNX graphs with random weights, written in a moment, without PyTorch and its exporter.

Batch normalization is folded into the convolutions, as ONNX Runtime does it when it loads a trained model. ResNet-50 is
in its form 1.5, as servers are measured with it: the stride is in the 3×3 convolution.
"""

from collections.abc import Callable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from contract.models import METADATA_KEY, ModelCard

EXPANSION = 4
WIDTHS = (64, 128, 256, 512)
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}
OPSET, IR_VERSION = 18, 10


class _Graph:
    """Nodes and weights; every method adds nodes and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(0)

    def node(self, kind: str, *inputs: str, **attributes: object) -> str:
        output = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def convolution(self, x: str, inputs: int, outputs: int, size: int, stride: int = 1, scale: float = 1.0) -> str:
        """Add a convolution whose weights keep the variance; `scale` reduces it, for the last one of a block."""
        shape = (outputs, inputs, size, size)
        values = self._random.normal(0, scale * np.sqrt(2 / (inputs * size * size)), shape)
        weight, bias = self._add(values), self._add(np.zeros(outputs))
        return self.node("Conv", x, weight, bias, strides=[stride] * 2, pads=[size // 2] * 4, kernel_shape=[size] * 2)

    def dense(self, x: str, inputs: int, outputs: int) -> str:
        values = self._random.normal(0, np.sqrt(1 / inputs), (inputs, outputs))
        return self.node("Gemm", x, self._add(values), self._add(np.zeros(outputs)))

    def _add(self, values: NDArray[np.float64]) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name


def resnet(name: str, card: ModelCard) -> bytes:
    """Return an ONNX file of `resnet18` or `resnet50` for the images and labels of the card."""
    graph, blocks = _Graph(), BLOCKS[name]
    block, inputs = _basic if name == "resnet18" else _bottleneck, 64
    x = graph.node("Relu", graph.convolution("images", 3, 64, 7, 2))
    x = graph.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for width, count in zip(WIDTHS, blocks, strict=True):
        for number in range(count):
            x, inputs = block(graph, x, inputs, width, 2 if number == 0 and width > WIDTHS[0] else 1)
    x = graph.node("Flatten", graph.node("GlobalAveragePool", x))
    classes = len(card.labels)
    graph.nodes.append(helper.make_node("Identity", [graph.dense(x, inputs, classes)], ["logits"], name="logits"))
    proto = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *card.preprocessing.image.shape])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        graph.weights,
    )
    model = helper.make_model(proto, ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)])
    helper.set_model_props(model, {METADATA_KEY: card.model_dump_json()})
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _basic(graph: _Graph, x: str, inputs: int, width: int, stride: int) -> tuple[str, int]:
    """Add two 3×3 convolutions with a shortcut; return the output and its channels."""

    def body() -> str:
        hidden = graph.node("Relu", graph.convolution(x, inputs, width, 3, stride))
        return graph.convolution(hidden, width, width, 3, scale=0.5)

    return _with_shortcut(graph, x, inputs, width, stride, body), width


def _bottleneck(graph: _Graph, x: str, inputs: int, width: int, stride: int) -> tuple[str, int]:
    """Add convolutions of 1×1, 3×3 and 1×1 with a shortcut; return the output and its channels."""
    outputs = width * EXPANSION

    def body() -> str:
        hidden = graph.node("Relu", graph.convolution(x, inputs, width, 1))
        hidden = graph.node("Relu", graph.convolution(hidden, width, width, 3, stride))
        return graph.convolution(hidden, width, outputs, 1, scale=0.5)

    return _with_shortcut(graph, x, inputs, outputs, stride, body), outputs


def _with_shortcut(graph: _Graph, x: str, inputs: int, outputs: int, stride: int, body: Callable[[], str]) -> str:
    """Add a block and its input, which is projected if the shape changes."""
    same = stride == 1 and inputs == outputs
    shortcut = x if same else graph.convolution(x, inputs, outputs, 1, stride, scale=0.5)
    return graph.node("Relu", graph.node("Add", body(), shortcut))
