"""Loading ONNX files."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from contract.errors import BadModel
from contract.models import METADATA_KEY
from services.inference.engine import Engine
from tests.onnx_models import CARD, linear, onnx_file, pictures


def value(name: str, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def test_a_path_and_its_bytes_load_the_same(tmp_path: Path) -> None:
    path, images = tmp_path / "model.onnx", pictures(3)
    path.write_bytes(linear())

    from_path, from_bytes = Engine().load(path), Engine().load(linear())

    assert from_path.card == from_bytes.card == CARD
    np.testing.assert_array_equal(from_path.run(images), from_bytes.run(images))


@pytest.mark.parametrize("garbage", [b"", b"garbage", linear()[:400], bytes(1000)])
def test_garbage_is_no_model(garbage: bytes) -> None:
    with pytest.raises(BadModel, match="no ONNX graph"):
        Engine().load(garbage)


def test_no_file_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="no ONNX graph"):
        Engine().load(tmp_path / "nothing.onnx")


def test_a_file_without_a_card_takes_no_pictures() -> None:
    model = Engine().load(linear(card=None))

    with pytest.raises(BadModel, match="/v2"):
        model.run(pictures(1))


@pytest.mark.parametrize("text", ["", "{}", "not json", CARD.model_dump_json()[:-2]])
def test_a_malformed_card_is_refused(text: str) -> None:
    model = onnx.load_from_string(linear(card=None))
    helper.set_model_props(model, {METADATA_KEY: text})

    with pytest.raises(BadModel, match="malformed"):
        Engine().load(model.SerializeToString())


def test_labels_must_match_the_logits() -> None:
    with pytest.raises(BadModel, match="each of the 3 labels"):
        Engine().load(linear(weights=np.zeros((144, 4), np.float32)))


def test_two_inputs_are_refused() -> None:
    add = helper.make_node("Add", ["a", "b"], ["logits"])
    graph = helper.make_graph([add], "two", [value("a", "n", 3), value("b", "n", 3)], [value("logits", "n", 3)])

    with pytest.raises(BadModel, match="one input"):
        Engine().load(onnx_file(graph, CARD))


def test_a_graph_for_one_picture_only_is_refused() -> None:
    flatten = helper.make_node("Flatten", ["images"], ["logits"])
    graph = helper.make_graph([flatten], "one", [value("images", 1, 3, 8, 6)], [value("logits", 1, 144)])

    with pytest.raises(BadModel):
        Engine(max_batch=2).load(onnx_file(graph, CARD.model_copy(update={"labels": tuple(map(str, range(144)))})))
