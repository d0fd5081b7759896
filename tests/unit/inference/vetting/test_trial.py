"""Checks of an ONNX file by running it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.errors import BadModel
from services.inference.vetting.trial import Trial
from tests.support.onnx_graphs import graph, identity, lookup, sums
from tests.support.onnx_models import CARD, linear

FLOAT = TensorProto.FLOAT
ROW = (FLOAT, ("n", 4))


def trial(folder: Path, file: bytes) -> Trial:
    (folder / "model.onnx").write_bytes(file)
    return Trial(folder / "model.onnx", 4)


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
def test_the_batch_axis_is_detected(tmp_path: Path, file: bytes, batched: bool) -> None:
    assert trial(tmp_path, file).behaviour().batched is batched


def test_the_signature_is_read(tmp_path: Path) -> None:
    behaviour = trial(tmp_path, linear()).behaviour()

    (tensor,) = behaviour.inputs
    assert (tensor.name, tensor.dtype, tensor.shape) == ("images", "float32", ("batch", 3, 8, 6))


def test_a_model_whose_output_has_other_rows_is_not_batched(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]

    assert not trial(tmp_path, graph(nodes, {"x": ROW}, {"y": ROW})).behaviour().batched


def test_models_that_need_large_images_are_tried_with_several_sizes(tmp_path: Path) -> None:
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[20, 20])]
    image = (FLOAT, ("n", 1, "height", "width"))

    assert trial(tmp_path, graph(nodes, {"x": image}, {"y": image})).behaviour().batched


def test_a_model_that_never_runs_is_rejected(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]

    with pytest.raises(BadModel, match="zeros and of ones"):
        trial(tmp_path, graph(nodes, {"x": ROW}, {"y": (FLOAT, (7,))})).behaviour()


def test_a_card_that_does_not_match_the_outputs_is_rejected(tmp_path: Path) -> None:
    card = CARD.model_copy(update={"labels": ("cat", "dog")})

    with pytest.raises(BadModel, match="one logit for each of the 2 labels"):
        trial(tmp_path, linear(card, weights=np.zeros((144, 3), np.float32)))


def test_a_graph_that_cannot_be_loaded_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="ONNX Runtime cannot load"):
        trial(tmp_path, b"junk")


def test_a_type_that_the_protocol_cannot_represent_is_rejected(tmp_path: Path) -> None:
    pair = onnx.load_model_from_string(single_node("SequenceConstruct"))
    pair.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", FLOAT, None))

    with pytest.raises(BadModel, match="protocol cannot represent"):
        trial(tmp_path, pair.SerializeToString())
