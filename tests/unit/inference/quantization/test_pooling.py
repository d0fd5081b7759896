"""Batch normalization and ReLU in front of max pooling."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from services.inference.quantization.pooling import pool_last

IMAGES = np.random.default_rng(1).normal(size=(4, 3, 8, 8)).astype(np.float32)


def network(
    *, negative: bool = False, bias: bool = False, relu: bool = True, second_use: bool = False
) -> onnx.ModelProto:
    """Make Conv, MaxPool, BatchNormalization and Relu; with `second_use`, the pooled values are an output too."""
    random = np.random.default_rng(0)
    weights = {
        "kernel": random.normal(0, 0.3, (4, 3, 3, 3)),
        "conv_bias": random.normal(size=4),
        "scale": random.uniform(0.2, 2, 4),
        "shift": random.normal(size=4),
        "mean": random.normal(size=4),
        "variance": random.uniform(0.2, 2, 4),
    }
    if negative:
        weights["scale"][2] *= -1
    nodes = [
        helper.make_node("Conv", ["images", "kernel", *(["conv_bias"] if bias else [])], ["conv"]),
        helper.make_node("MaxPool", ["conv"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node(
            "BatchNormalization", ["pooled", "scale", "shift", "mean", "variance"], ["normed"], epsilon=1e-3
        ),
        helper.make_node("Relu" if relu else "Identity", ["normed"], ["out"]),
    ]
    shape = ["batch", 4, 3, 3]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)]
    if second_use:
        outputs.append(helper.make_tensor_value_info("pooled", TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        outputs,
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def run(model: onnx.ModelProto) -> NDArray[np.float32]:
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["out"], {"images": IMAGES})[0])


@pytest.mark.parametrize("bias", [False, True])
def test_normalization_and_relu_move_in_front_of_the_pooling(bias: bool) -> None:
    model = network(bias=bias)
    expected = run(model)

    pool_last(model)

    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "MaxPool"]
    np.testing.assert_allclose(run(model), expected, atol=1e-5)
    assert len(model.graph.initializer) == 2


def test_a_normalization_without_relu_is_folded() -> None:
    model = network(relu=False)
    expected = run(model)

    pool_last(model)

    assert [node.op_type for node in model.graph.node] == ["Conv", "MaxPool", "Identity"]
    np.testing.assert_allclose(run(model), expected, atol=1e-5)


def test_a_normalization_with_a_negative_factor_stays() -> None:
    model = network(negative=True)
    expected = run(model)

    pool_last(model)

    assert [node.op_type for node in model.graph.node] == ["Conv", "MaxPool", "BatchNormalization", "Relu"]
    np.testing.assert_array_equal(run(model), expected)


def test_a_pooling_with_another_use_stays() -> None:
    model = network(second_use=True)
    expected = run(model)

    pool_last(model)

    assert len(model.graph.node) == 4
    np.testing.assert_array_equal(run(model), expected)
