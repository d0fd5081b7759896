"""What the outputs of an uploaded image classifier are: logits, probabilities or independent scores."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from contract.errors import BadModel
from services.inference.vetting.samples import trial_images
from tests.support import onnx_classifiers as models
from tests.support.onnx_classifiers import SIZE, SOFTMAX, classifier, keras
from tests.unit.inference.vetting.classifier_trials import codes, raw, scores, served, tried


@pytest.mark.parametrize(
    ("head", "output"),
    [
        (models.LOGITS, "logits"),
        (models.LOG_SOFTMAX, "logits"),
        (models.SOFTMAX, "probabilities"),
        (models.EXP_SUM, "probabilities"),
        (models.NORMALIZED_SIGMOID, "probabilities"),
    ],
    ids=["logits", "log softmax", "softmax", "exp / sum", "normalised sigmoid"],
)
def test_probabilities_are_told_from_logits(head: models.Nodes, output: str) -> None:
    classified = tried(classifier(head))

    assert (classified.card.output, codes(classified)) == (output, [])


def test_probabilities_are_scored_as_they_are(tmp_path: Path) -> None:
    inputs = (trial_images((3, *SIZE)) / 127.5 - 1).astype(np.float32)
    for head in (SOFTMAX, models.LOG_SOFTMAX):
        file = classifier(head)

        actual = scores(served(file, tried(file).card, tmp_path))

        np.testing.assert_allclose(actual, raw(classifier(SOFTMAX), inputs), rtol=1e-5, atol=1e-6)


def test_logits_that_look_like_probabilities_for_one_image_stay_logits() -> None:
    bias = numpy_helper.from_array(np.array([0.2, 0.3, 0.5], np.float32), "bias")
    for weight in (0.0, 0.1):
        nodes = [
            helper.make_node("Flatten", ["images"], ["pixels"]),
            helper.make_node("MatMul", ["pixels", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["output"]),
        ]
        weights = numpy_helper.from_array(np.full((144, 3), weight, np.float32), "weights")
        graph = helper.make_graph(
            nodes,
            "biased",
            [helper.make_tensor_value_info("images", models.FLOAT, ("N", 3, 8, 6))],
            [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
            [weights, bias],
        )

        assert tried(models.saved(graph), mean=(0.0,) * 3, std=(1.0,) * 3).card.output == "logits"


def test_equal_outputs_for_all_images_are_logits_with_a_warning() -> None:
    nodes = [
        helper.make_node("ReduceMax", ["images", "axes"], ["zero"], keepdims=0),
        helper.make_node("Clip", ["zero", "one", "one"], ["ones"]),
        helper.make_node("Unsqueeze", ["ones", "last"], ["column"]),
        helper.make_node("Mul", ["column", "bias"], ["product"]),
        helper.make_node("Relu", ["product"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("images", models.FLOAT, ("N", 3, 8, 6))],
        [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
        [
            models.ints("axes", 1, 2, 3),
            models.ints("last", -1),
            numpy_helper.from_array(np.array(1, np.float32), "one"),
            numpy_helper.from_array(np.array([[0.2, 0.3, 0.5]], np.float32), "bias"),
        ],
    )

    classified = tried(models.saved(graph))

    assert (classified.card.output, codes(classified)) == ("logits", ["output_unclear"])
    assert tried(models.saved(graph), output="probabilities").card.output == "probabilities"


def test_independent_sigmoids_keep_their_scores_with_a_warning(tmp_path: Path) -> None:
    file = classifier(models.SIGMOID)

    classified = tried(file)

    assert (classified.card.output, codes(classified)) == ("probabilities", ["independent_scores"])
    inputs = (trial_images((3, *SIZE)) / 127.5 - 1).astype(np.float32)
    actual = scores(served(file, classified.card, tmp_path))
    np.testing.assert_allclose(actual, raw(file, inputs), rtol=1e-5, atol=1e-6)


def test_one_sigmoid_is_the_score_of_the_second_label(tmp_path: Path) -> None:
    for head in (models.SIGMOID, models.LOGITS):
        file = keras(head, classes=1)
        classified = tried(file, labels=("cat", "dog"))

        actual = scores(served(file, classified.card, tmp_path))

        inputs = (trial_images((3, *SIZE)).transpose(0, 2, 3, 1) / 127.5 - 1).astype(np.float32)
        dog = raw(keras(models.SIGMOID, classes=1), inputs)
        np.testing.assert_allclose(actual, np.hstack([1 - dog, dog]), rtol=1e-4, atol=1e-6)
        assert codes(classified) == []


def test_the_metadata_decides_what_outputs_are() -> None:
    assert tried(classifier(SOFTMAX), output="probabilities").warnings == ()
    assert tried(classifier(), output="logits").warnings == ()

    overridden = tried(classifier(SOFTMAX), output="logits")

    assert (overridden.card.output, codes(overridden)) == ("logits", ["output_overridden"])
    with pytest.raises(BadModel, match="says that the outputs are probabilities, but for trial images they are from"):
        tried(classifier(), output="probabilities")


def test_outputs_that_are_not_numbers_are_a_warning() -> None:
    head = (helper.make_node("Log", ["logits"], ["output"]),)

    assert "not_a_number" in codes(tried(classifier(head)))
