"""Makes tiny ONNX models with arbitrary signatures."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

Shape = Sequence[int | str | None]

# The protocol's data types as element types of ONNX.
ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "FP16": TensorProto.FLOAT16,
    "BF16": TensorProto.BFLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BYTES": TensorProto.STRING,
}


def identity(kind: int, shape: Shape = ("batch", 2)) -> bytes:
    """`y` equals `x`; `kind` is an element type of onnx.TensorProto."""
    return graph([helper.make_node("Identity", ["x"], ["y"])], {"x": (kind, shape)}, {"y": (kind, shape)})


def sums() -> bytes:
    """Inputs `a` and `b`, outputs `sum` and `difference`, all float (batch, 3)."""
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"]), helper.make_node("Sub", ["a", "b"], ["difference"])]
    row = (TensorProto.FLOAT, ("batch", 3))
    return graph(nodes, {"a": row, "b": row}, {"sum": row, "difference": row})


def lookup(rows: int = 4) -> bytes:
    """`y` (batch,) is element `x`, int64 (batch,), of 0, 10, 20, …; fails for an index beyond `rows`."""
    table = helper.make_tensor("table", TensorProto.FLOAT, [rows], [10.0 * row for row in range(rows)])
    nodes = [helper.make_node("Constant", [], ["t"], value=table), helper.make_node("Gather", ["t", "x"], ["y"])]
    return graph(nodes, {"x": (TensorProto.INT64, ("batch",))}, {"y": (TensorProto.FLOAT, ("batch",))})


def loop(rounds: int | None = None) -> bytes:
    """`y` is the sine of `x`, float (batch, 2), taken `rounds` times; `rounds` is an input if it is None."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_out"]), helper.make_node("Sin", ["value"], ["sine"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sine", TensorProto.FLOAT, None),
        ],
    )
    row: tuple[int, Shape] = (TensorProto.FLOAT, ("batch", 2))
    constant = [] if rounds is None else [helper.make_node("Constant", [], ["rounds"], value_int=rounds)]
    nodes = [*constant, helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body)]
    inputs = {"x": row} if rounds is not None else {"x": row, "rounds": (TensorProto.INT64, ())}
    return graph(nodes, inputs, {"y": row})


def filled() -> bytes:
    """`y` is the sum of as many zeros, float, as the input `n`, int64 (1,), says."""
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["zeros"]), helper.make_node("ReduceSum", ["zeros"], ["y"])]
    return graph(nodes, {"n": (TensorProto.INT64, (1,))}, {"y": (TensorProto.FLOAT, (1,))})


def product() -> bytes:
    """`y` is the sum of the square of a matrix of ones, with as many rows as the input `n`, int64 (1,), says."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("Concat", ["n", "n"], ["shape"], axis=0),
        helper.make_node("ConstantOfShape", ["shape"], ["ones"], value=one),
        helper.make_node("MatMul", ["ones", "ones"], ["product"]),
        helper.make_node("ReduceSum", ["product"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "zero"], ["y"]),
    ]
    nodes.insert(0, helper.make_node("Constant", [], ["zero"], value_ints=[0]))
    return graph(nodes, {"n": (TensorProto.INT64, (1,))}, {"y": (TensorProto.FLOAT, (1,))})


def graph(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, Shape]],
    outputs: dict[str, tuple[int, Shape]],
    opset: int = 18,
) -> bytes:
    """An ONNX file of these nodes; tensors are (element type, shape) by name."""
    onnx_graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *tensor) for name, tensor in inputs.items()],
        [helper.make_tensor_value_info(name, *tensor) for name, tensor in outputs.items()],
    )
    model = helper.make_model(onnx_graph, ir_version=10, opset_imports=[helper.make_opsetid("", opset)])
    file: bytes = model.SerializeToString()
    return file
