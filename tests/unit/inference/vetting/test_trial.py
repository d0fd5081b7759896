"""Checks of an ONNX file by running it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.errors import BadModel
from services.inference.engine.loader import ModelLoader
from services.inference.vetting.samples import read_npz
from services.inference.vetting.trial import Trial
from tests.support.onnx_graphs import graph, identity, lookup, sums
from tests.support.onnx_models import linear

FLOAT = TensorProto.FLOAT
ROW = (FLOAT, ("n", 4))


def trial(file: bytes, samples: dict[str, object] | None = None) -> Trial:
    return Trial(ModelLoader(4).load(file), 4, samples)


def single_node(op_type: str, **attributes: object) -> bytes:
    """Return a model `y = op(x)`, both float (n, 4)."""
    return graph([helper.make_node(op_type, ["x"], ["y"], **attributes)], {"x": ROW}, {"y": ROW})


@pytest.mark.parametrize(
    ("file", "batched"),
    [
        (linear(), True),
        (sums(), True),
        (lookup(), True),
        (single_node("Softmax", axis=1), True),
        (single_node("Softmax", axis=0), False),
        (single_node("LpNormalization", axis=0), False),
        (identity(FLOAT, (2, 3)), False),
        (identity(FLOAT, ()), False),
        (identity(FLOAT, (1, "n")), False),
        (identity(TensorProto.STRING), True),
        (identity(TensorProto.BFLOAT16), True),
        (identity(TensorProto.BOOL, (None, None)), True),
    ],
)
def test_the_batch_axis_is_detected(file: bytes, batched: bool) -> None:
    assert trial(file).behaviour().batched is batched


def test_the_signature_is_read() -> None:
    behaviour = trial(linear()).behaviour()

    (tensor,) = behaviour.inputs
    assert (tensor.name, tensor.dtype, tensor.shape) == ("images", "float32", ("batch", 3, 8, 6))


def test_a_model_whose_output_has_other_rows_is_not_batched() -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]

    assert not trial(graph(nodes, {"x": ROW}, {"y": ROW})).behaviour().batched


def test_models_that_need_large_images_are_tried_with_several_sizes() -> None:
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[20, 20])]
    image = (FLOAT, ("n", 1, "height", "width"))

    assert trial(graph(nodes, {"x": image}, {"y": image})).behaviour().batched


def test_a_model_that_fails_on_zeros_and_ones_is_not_tried() -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]

    file = graph(nodes, {"x": ROW}, {"y": (FLOAT, (7,))})

    behaviour = trial(file).behaviour()

    assert [warning.code for warning in behaviour.warnings] == ["not_tried"]
    assert not behaviour.batched
    with pytest.raises(BadModel, match="failed on its samples"):
        trial(file, {"x": [[0.5] * 4]}).behaviour()


def grid() -> bytes:
    """Return a model whose second input is the shape of its output, as affine_grid has it."""
    nodes = [helper.make_node("AffineGrid", ["theta", "size"], ["grid"])]
    inputs = {"theta": (FLOAT, (2, 2, 3)), "size": (TensorProto.INT64, (4,))}
    return graph(nodes, inputs, {"grid": (FLOAT, (2, "h", "w", 2))}, opset=20)


THETA = [[[1.0, 0, 0], [0, 1, 0]]] * 2


def test_a_model_with_shapes_as_inputs_is_tried_on_its_samples() -> None:
    assert [warning.code for warning in trial(grid()).behaviour().warnings] == ["not_tried"]

    behaviour = trial(grid(), {"theta": THETA, "size": [2, 3, 4, 5]}).behaviour()

    assert (behaviour.warnings, behaviour.batched) == ((), False)


@pytest.mark.parametrize("file", [sums(), single_node("Softmax", axis=1)])
def test_the_batch_axis_is_detected_with_samples(file: bytes) -> None:
    model = ModelLoader(4).load(file)
    samples = {tensor.name: [[0.5] * int(tensor.shape[1])] for tensor in model.inputs}

    assert Trial(model, 4, samples).behaviour().batched


@pytest.mark.parametrize("operator", ["Softmax", "LpNormalization"])
def test_rows_that_depend_on_each_other_are_detected_with_samples(operator: str) -> None:
    assert not trial(single_node(operator, axis=0), {"x": [[0.1, 0.2, 0.3, 0.4]]}).behaviour().batched


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ({"theta": THETA}, "have the names 'theta'; the graph's inputs are 'theta', 'size'"),
        ({"theta": THETA, "size": [2, 3, 4]}, r"'size' has the shape \[3\]; the graph takes \[4\]"),
        ({"theta": THETA, "size": [2, 3, 4, 0.5]}, "'size' is not an array of int64"),
        ({"theta": [[1, 2], [3]], "size": [2, 3, 4, 5]}, "'theta' is not an array of float32"),
        ({"theta": "text", "size": [2, 3, 4, 5]}, "'theta' is not an array of float32"),
        ({"theta": THETA, "size": [2, 3, 4, 2**70]}, "'size' is not an array of int64"),
        ({"theta": THETA, "size": [2, 3, 4, 2**63]}, "'size' is not an array of int64"),
    ],
)
def test_samples_must_fit_the_inputs(samples: dict[str, object], reason: str) -> None:
    with pytest.raises(BadModel, match=reason):
        trial(grid(), samples)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (TensorProto.UINT8, [[0, 255]]),
        (TensorProto.INT64, [[2**40, -1]]),
        (TensorProto.BOOL, [[True, False]]),
        (TensorProto.STRING, [["a", "b"]]),
        (TensorProto.FLOAT16, [[0.5, 2]]),
        (TensorProto.BFLOAT16, [[0.5, 2]]),
        (TensorProto.DOUBLE, np.array([[0.5, 2]], np.float32)),
    ],
)
def test_samples_have_the_type_of_the_input(dtype: int, value: object) -> None:
    assert trial(identity(dtype), {"x": value}).behaviour().batched


def test_samples_are_read_from_an_npz_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "samples.npz", theta=np.array(THETA), size=np.array([2, 3, 4, 5]))
    np.savez(tmp_path / "objects.npz", x=np.array([object()]))
    np.save(tmp_path / "array.npy", np.zeros(2))
    (tmp_path / "text").write_text("text")

    assert trial(grid(), read_npz(tmp_path / "samples.npz")).behaviour().warnings == ()
    for name in ("objects.npz", "array.npy", "text"):
        with pytest.raises(BadModel, match=r"not an \.npz file"):
            read_npz(tmp_path / name)


def test_a_graph_that_cannot_be_loaded_is_rejected() -> None:
    with pytest.raises(BadModel, match="ONNX Runtime cannot load"):
        trial(b"junk")


def test_a_type_that_the_protocol_cannot_represent_is_rejected() -> None:
    pair = onnx.load_model_from_string(single_node("SequenceConstruct"))
    pair.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", FLOAT, None))

    with pytest.raises(BadModel, match="protocol cannot represent"):
        trial(pair.SerializeToString())


def test_a_sample_may_be_empty() -> None:
    nodes = [helper.make_node("ReduceSum", ["x", "axes"], ["y"])]
    file = graph(nodes, {"x": ROW, "axes": (TensorProto.INT64, ("k",))}, {"y": (FLOAT, (1, 1))})

    assert trial(file, {"x": [[1, 2, 3, 4]], "axes": []}).behaviour().warnings == ()
