"""The only place that makes ONNX files that should not be served."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_graphs import graph

FLOAT = TensorProto.FLOAT
ROW = (FLOAT, ("batch", 2))


def relu(**changes: object) -> onnx.ModelProto:
    """`y` is the positive part of `x`, float (batch, 2), with changes to its one node."""
    model = onnx.load_model_from_string(graph([helper.make_node("Relu", ["x"], ["y"])], {"x": ROW}, {"y": ROW}))
    for name, value in changes.items():
        setattr(model.graph.node[0], name, value)
    return model


def with_weights(weights: onnx.TensorProto) -> onnx.ModelProto:
    """A model with a tensor that nothing uses."""
    model = relu()
    model.graph.initializer.append(weights)
    return model


def external() -> onnx.ModelProto:
    """Weights in a file beside it."""
    weights = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="../secret")
    return with_weights(weights)


def external_in_a_branch() -> onnx.ModelProto:
    """The same, in a constant of a branch that is never taken."""
    constant = helper.make_node("Constant", [], ["z"], value=external().graph.initializer[0])
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("z", FLOAT, [2])])
    model = relu()
    model.graph.node.append(helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch))
    return model


def overflowing() -> onnx.ModelProto:
    """Weights whose size is 0 in 64 bits."""
    return with_weights(TensorProto(name="w", data_type=FLOAT, dims=[2**32, 2**32]))


def bomb() -> bytes:
    """A kilobyte that wants a terabyte."""
    shape = numpy_helper.from_array(np.array([2**38], np.int64), "shape")
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["top"], keepdims=0),
        helper.make_node("Add", ["x", "top"], ["y"]),
    ]
    return graph(nodes, {"x": ROW}, {"y": ROW})


def endless() -> bytes:
    """A loop of as many rounds as there are."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes"]),
            helper.make_node("Sin", ["value"], ["sine"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sine", FLOAT, None),
        ],
    )
    rounds = numpy_helper.from_array(np.array(2**62, np.int64), "rounds")
    nodes = [
        helper.make_node("Constant", [], ["rounds"], value=rounds),
        helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body),
    ]
    return graph(nodes, {"x": ROW}, {"y": ROW})
