"""Checks of an ONNX file without running it."""

from pathlib import Path

import pytest
from onnx import ModelProto, TensorProto, helper

from contract.errors import BadModel
from contract.models import METADATA_KEY
from services.inference.engine.loader import ModelLoader
from services.inference.vetting.static import append_card, card_in, check, parse, remove_card
from tests.support import onnx_classifiers
from tests.support.onnx_graphs import sums
from tests.support.onnx_models import CARD, linear
from tests.unit.inference.vetting import models
from tests.unit.inference.vetting.models import relu, with_weights


def test_a_valid_file_declares_its_contents() -> None:
    contents = check(parse(linear()))

    assert (contents.opset, contents.parameters, contents.card) == (18, 144 * 3, CARD)


@pytest.mark.parametrize(("domain", "operator"), [("", "Relu"), ("ai.onnx.ml", "Binarizer"), ("com.microsoft", "Gelu")])
def test_operators_of_known_domains_are_allowed(domain: str, operator: str) -> None:
    model = relu(domain=domain, op_type=operator)
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))

    assert check(model).opset == 18


def test_operators_defined_in_the_file_are_checked_too() -> None:
    def named(op_type: str) -> ModelProto:
        opset = helper.make_opsetid("", 18)
        node = helper.make_node(op_type, ["a"], ["b"], domain="" if op_type == "Relu" else "evil")
        model = relu(domain="mine", op_type="Positive")
        model.functions.append(helper.make_function("mine", "Positive", ["a"], ["b"], [node], [opset]))
        model.opset_import.append(helper.make_opsetid("mine", 1))
        return model

    check(named("Relu"))
    with pytest.raises(BadModel, match="'evil'"):
        check(named("Shell"))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (relu(domain="evil"), "'Relu' is in the domain 'evil'"),
        (models.external(), "other files"),
        (models.external_in_a_branch(), "other files"),
        (models.external_by_default("secret"), "other files"),
        (relu(domain="com.microsoft", op_type="EPContext"), "compiled program"),
        (models.overflowing(), "'w' is larger than 2048 MiB"),
        (with_weights(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[-1])), "negative axis"),
        (with_weights(TensorProto(name="w", data_type=99, dims=[1])), "unknown element type"),
        (with_weights(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[7])), "not a valid ONNX"),
        (relu(op_type="Nothing"), "not a valid ONNX"),
        (ModelProto(), "not a valid ONNX"),
    ],
)
def test_unsafe_and_invalid_models_are_rejected(model: ModelProto, reason: str) -> None:
    with pytest.raises(BadModel, match=reason):
        check(model)


def test_a_declared_shape_that_is_too_large_is_rejected() -> None:
    model = relu()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40

    with pytest.raises(BadModel, match="'x' is larger"):
        check(model)


@pytest.mark.parametrize("file", [b"junk", b"\x08", b"\xff" * 100])
def test_bytes_that_are_not_a_model_are_rejected(file: bytes) -> None:
    with pytest.raises(BadModel, match="not an ONNX model"):
        parse(file)


def test_a_card_is_added_without_parsing_the_file(tmp_path: Path) -> None:
    bare = parse(linear())
    remove_card(bare)
    assert card_in(bare) is None
    bare.metadata_props.add(key="other", value="kept")
    file = tmp_path / "model.onnx"
    file.write_bytes(bare.SerializeToString())

    append_card(file, CARD)

    model = parse(file.read_bytes())
    assert {entry.key for entry in model.metadata_props} == {METADATA_KEY, "other"}
    assert card_in(model) == ModelLoader().load(file).card == CARD


@pytest.mark.parametrize(
    ("file", "layer"),
    [
        (linear(), "linear"),
        (onnx_classifiers.classifier(), "linear"),
        (onnx_classifiers.classifier(onnx_classifiers.LOG_SOFTMAX), "linear"),
        (onnx_classifiers.keras(), "softmax"),
        (onnx_classifiers.half_precision(), "softmax"),
        (onnx_classifiers.classifier(onnx_classifiers.SIGMOID), "sigmoid"),
        (onnx_classifiers.classifier(onnx_classifiers.EXP_SUM), "other"),
        (sums(), "other"),
    ],
)
def test_the_last_layer_is_found(file: bytes, layer: str) -> None:
    assert check(parse(file)).output_layer == layer


def test_the_last_layer_may_be_in_a_function_of_the_file() -> None:
    model = relu(domain="mine", op_type="Scores")
    softmax, opset = helper.make_node("Softmax", ["a"], ["b"]), helper.make_opsetid("", 18)
    model.functions.append(helper.make_function("mine", "Scores", ["a"], ["b"], [softmax], [opset]))
    model.opset_import.append(helper.make_opsetid("mine", 1))

    assert check(model).output_layer == "softmax"


def test_a_malformed_card_is_rejected() -> None:
    model = parse(linear(card=None))
    assert card_in(model) is None

    model.metadata_props.add(key=METADATA_KEY, value="{}")

    with pytest.raises(BadModel, match="card"):
        card_in(model)
