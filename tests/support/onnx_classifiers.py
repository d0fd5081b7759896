"""Makes ONNX classifiers as exporters write them: layouts, types, batches and last layers; weights are random."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from contract.models import METADATA_KEY, ModelCard
from tests.support.onnx_graphs import Shape

FLOAT, HALF, DOUBLE, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.UINT8
CLASSES = 3
SIZE = (8, 6)

Nodes = Sequence[onnx.NodeProto]


def tensor(name: str, *shape: int, seed: int = 0) -> onnx.TensorProto:
    """Return random weights."""
    values = np.random.default_rng(seed).normal(0, 0.7, shape).astype(np.float32)
    return numpy_helper.from_array(values, name)


def ints(name: str, *values: int) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


SOFTMAX = (helper.make_node("Softmax", ["logits"], ["output"], axis=-1),)
SIGMOID = (helper.make_node("Sigmoid", ["logits"], ["output"]),)
LOG_SOFTMAX = (helper.make_node("LogSoftmax", ["logits"], ["output"], axis=-1),)
LOGITS = (helper.make_node("Identity", ["logits"], ["output"]),)
# Softmax as older exporters write it.
EXP_SUM = (
    helper.make_node("ReduceMax", ["logits", "last"], ["maximum"], keepdims=1),
    helper.make_node("Sub", ["logits", "maximum"], ["shifted"]),
    helper.make_node("Exp", ["shifted"], ["powers"]),
    helper.make_node("ReduceSum", ["powers", "last"], ["sum"], keepdims=1),
    helper.make_node("Div", ["powers", "sum"], ["output"]),
)
NORMALIZED_SIGMOID = (
    helper.make_node("Sigmoid", ["logits"], ["scores"]),
    helper.make_node("ReduceSum", ["scores", "last"], ["sum"], keepdims=1),
    helper.make_node("Div", ["scores", "sum"], ["output"]),
)


def classifier(
    head: Nodes = LOGITS,
    *,
    shape: Shape = ("N", 3, *SIZE),
    dtype: int = FLOAT,
    output: Shape = ("N", CLASSES),
    output_dtype: int = FLOAT,
    classes: int = CLASSES,
    channels: int = 3,
    before: Nodes = (),
    first: str = "images",
) -> bytes:
    """Return a network as torchvision exports one: convolution, global pooling and a dense layer; then `head`.

    `before` makes float images with channels first, called `first`, of the input `images` if that is something else.
    """
    nodes = [
        *before,
        helper.make_node("Conv", [first, "kernels", "shifts"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["maps"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("Gemm", ["features", "weights", "bias"], ["logits"], transB=1),
        *head,
    ]
    weights = [
        tensor("kernels", 4, channels, 3, 3),
        tensor("shifts", 4),
        tensor("weights", classes, 4),
        tensor("bias", classes),
        ints("last", -1),
        ints("flat", 1, -1),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [helper.make_tensor_value_info("images", dtype, shape)],
        [helper.make_tensor_value_info("output", output_dtype, output)],
        weights,
    )
    return saved(graph)


def keras(head: Nodes = SOFTMAX, *, shape: Shape = ("N", *SIZE, 3), channels: int = 3, classes: int = CLASSES) -> bytes:
    """Return a network as tf2onnx exports one of Keras: channels last, and a transposition at its start."""
    first = (helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2]),)
    return classifier(
        head, shape=shape, before=first, first="first", channels=channels, classes=classes, output=("N", classes)
    )


def quantized(shape: Shape = ("N", *SIZE, 3)) -> bytes:
    """Return a network that takes uint8 images with channels last and normalizes them itself, as TFLite exports do."""
    before = (
        helper.make_node("Cast", ["images"], ["pixels"], to=FLOAT),
        helper.make_node("Constant", [], ["half"], value=numpy_helper.from_array(np.array(127.5, np.float32))),
        helper.make_node("Div", ["pixels", "half"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["first"], perm=[0, 3, 1, 2]),
    )
    return classifier(SOFTMAX, shape=shape, dtype=BYTE, before=before, first="first")


def ultralytics() -> bytes:
    """Return a network as Ultralytics exports one: a batch of 1, softmax at its end, and metadata of its own."""
    model = onnx.load_model_from_string(classifier(SOFTMAX, shape=(1, 3, *SIZE), output=(1, CLASSES)))
    helper.set_model_props(model, {"task": "classify", "names": "{0: 'ant', 1: 'bee', 2: 'cow'}"})
    file: bytes = model.SerializeToString()
    return file


def half_precision(*, inputs_too: bool = True) -> bytes:
    """Return a network with float16 inputs and outputs."""
    before = (helper.make_node("Cast", ["images"], ["first"], to=FLOAT),)
    head = (
        helper.make_node("Softmax", ["logits"], ["scores"]),
        helper.make_node("Cast", ["scores"], ["output"], to=HALF),
    )
    dtype = HALF if inputs_too else FLOAT
    return classifier(head, dtype=dtype, before=before, first="first", output_dtype=HALF)


def saved(graph: onnx.GraphProto, opset: int = 18) -> bytes:
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
    onnx.checker.check_model(model)
    file: bytes = model.SerializeToString()
    return file


def with_card(file: bytes, card: ModelCard) -> bytes:
    """Return the file with a card in its metadata."""
    model = onnx.load_model_from_string(file)
    helper.set_model_props(model, {METADATA_KEY: card.model_dump_json()})
    carded: bytes = model.SerializeToString()
    return carded
