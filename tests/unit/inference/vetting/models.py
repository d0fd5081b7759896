"""ONNX files that must not be served."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_graphs import graph, loop

FLOAT = TensorProto.FLOAT
ROW = (FLOAT, ("batch", 2))


def relu(**changes: object) -> onnx.ModelProto:
    """Return a model `y = relu(x)`, float (batch, 2), with changes to its one node."""
    model = onnx.load_model_from_string(graph([helper.make_node("Relu", ["x"], ["y"])], {"x": ROW}, {"y": ROW}))
    for name, value in changes.items():
        setattr(model.graph.node[0], name, value)
    return model


def with_weights(weights: onnx.TensorProto) -> onnx.ModelProto:
    """Return a model with an unused tensor."""
    model = relu()
    model.graph.initializer.append(weights)
    return model


def external(location: str = "../secret") -> onnx.ModelProto:
    """Return a model with weights in another file."""
    weights = numpy_helper.from_array(np.zeros(2, np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return with_weights(weights)


def external_in_a_branch() -> onnx.ModelProto:
    """Return a model with external weights in a constant of an unused branch."""
    constant = helper.make_node("Constant", [], ["z"], value=external().graph.initializer[0])
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("z", FLOAT, [2])])
    model = relu()
    model.graph.node.append(helper.make_node("If", ["c"], ["i"], then_branch=branch, else_branch=branch))
    return model


def overflowing() -> onnx.ModelProto:
    """Return a model with weights whose size overflows to 0 in 64 bits."""
    return with_weights(TensorProto(name="w", data_type=FLOAT, dims=[2**32, 2**32]))


def bomb() -> bytes:
    """Return a file of a kilobyte that allocates a terabyte."""
    shape = numpy_helper.from_array(np.array([2**38], np.int64), "shape")
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["top"], keepdims=0),
        helper.make_node("Add", ["x", "top"], ["y"]),
    ]
    return graph(nodes, {"x": ROW}, {"y": ROW})


def endless() -> bytes:
    """Return a model with a loop of 2^62 iterations."""
    return loop(2**62)


def calling(bodies: dict[str, list[str]], domain: str = "mine") -> onnx.ModelProto:
    """Return a model whose one node calls the first function; bodies are chains of functions and of Relu."""
    opsets = [helper.make_opsetid("", 18), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = relu(op_type=next(iter(bodies)), domain=domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    for name, operators in bodies.items():
        values = ["a", *(f"v{number}" for number in range(1, len(operators))), "b"]
        nodes = [
            helper.make_node(operator, [source], [target], domain=domain if operator in bodies else "")
            for operator, source, target in zip(operators, values, values[1:], strict=False)
        ]
        model.functions.append(helper.make_function(domain, name, ["a"], ["b"], nodes, opsets))
    return model


def external_by_default(location: str) -> onnx.ModelProto:
    """Return a model `y = x + w` whose weights, the default value of an attribute of a function, are in a file."""
    model = calling({"Biased": ["Relu"]})
    function = model.functions[0]
    del function.node[:]
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", ref_attr_name="weights", type=onnx.AttributeProto.TENSOR)
    function.node.extend([constant, helper.make_node("Add", ["a", "w"], ["b"])])
    weights = external(location).graph.initializer[0]
    function.attribute_proto.append(helper.make_attribute("weights", weights))
    return model
