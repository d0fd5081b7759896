"""What is found out by running a model."""

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


def one(op_type: str, **attributes: object) -> bytes:
    """`y` is an operator of `x`, both float (n, 4)."""
    return graph([helper.make_node(op_type, ["x"], ["y"], **attributes)], {"x": ROW}, {"y": ROW})


@pytest.mark.parametrize(
    ("file", "batched"),
    [
        (linear(), True),
        (sums(), True),
        (lookup(), True),
        (one("Softmax", axis=1), True),
        (one("Softmax", axis=0), False),
        (one("LpNormalization", axis=0), False),
        (identity(FLOAT, (2, 3)), False),
        (identity(FLOAT, ()), False),
        (identity(FLOAT, (1, "n")), False),
        (identity(TensorProto.STRING), True),
        (identity(TensorProto.BFLOAT16), True),
        (identity(TensorProto.BOOL, (None, None)), True),
    ],
)
def test_whether_the_first_axis_is_a_batch(tmp_path: Path, file: bytes, batched: bool) -> None:
    assert trial(tmp_path, file).behaviour().batched is batched


def test_the_signature(tmp_path: Path) -> None:
    behaviour = trial(tmp_path, linear()).behaviour()

    (found,) = behaviour.inputs
    assert (found.name, found.dtype, found.shape) == ("images", "float32", ("batch", 3, 8, 6))


def test_an_output_that_does_not_follow_the_input(tmp_path: Path) -> None:
    nodes = [helper.make_node("Concat", ["x", "x"], ["y"], axis=0)]

    assert not trial(tmp_path, graph(nodes, {"x": ROW}, {"y": ROW})).behaviour().batched


def test_pictures_that_must_not_be_too_small(tmp_path: Path) -> None:
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[20, 20])]
    picture = (FLOAT, ("n", 1, "height", "width"))

    assert trial(tmp_path, graph(nodes, {"x": picture}, {"y": picture})).behaviour().batched


def test_a_model_that_runs_on_nothing(tmp_path: Path) -> None:
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [7])
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=shape),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]

    with pytest.raises(BadModel, match="zeros or ones"):
        trial(tmp_path, graph(nodes, {"x": ROW}, {"y": (FLOAT, (7,))})).behaviour()


def test_a_card_that_does_not_fit(tmp_path: Path) -> None:
    card = CARD.model_copy(update={"labels": ("cat", "dog")})

    with pytest.raises(BadModel, match="one logit for each of the 2 labels"):
        trial(tmp_path, linear(card, weights=np.zeros((144, 3), np.float32)))


def test_a_graph_that_cannot_be_loaded(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="ONNX Runtime can load"):
        trial(tmp_path, b"junk")


def test_a_type_that_the_protocol_cannot_carry(tmp_path: Path) -> None:
    pair = onnx.load_model_from_string(one("SequenceConstruct"))
    pair.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", FLOAT, None))

    with pytest.raises(BadModel, match="protocol cannot carry"):
        trial(tmp_path, pair.SerializeToString())
