"""Layouts, types and batches of uploaded image classifiers, as exporters write them."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from contract.errors import BadModel
from tests.support import onnx_classifiers as models
from tests.support.onnx_classifiers import SIZE, SOFTMAX, classifier, keras
from tests.unit.inference.vetting.classifier_trials import codes, reshaped, scores, served, tried


@pytest.mark.parametrize(
    ("file", "changes", "layout", "dtype"),
    [
        (keras(), {}, "NHWC", "float32"),
        (keras(shape=("N", None, None, 3)), {}, "NHWC", "float32"),
        (keras(shape=(None, None, None, None)), {}, "NHWC", "float32"),
        (classifier(shape=("N", "C", "H", "W")), {}, "NCHW", "float32"),
        (classifier(shape=("N", 3, "H", "W")), {"size": (9, 20)}, "NCHW", "float32"),
        (models.quantized(), {"mean": None, "std": None}, "NHWC", "uint8"),
        (models.quantized(), {"mean": (0.0,) * 3, "std": (1.0,) * 3, "scale": 255}, "NHWC", "uint8"),
        (models.half_precision(), {}, "NCHW", "float16"),
        (classifier(channels=1, shape=("N", 1, 8, 6)), {"mode": "L", "mean": (0,), "std": (1,)}, "NCHW", "float32"),
        (keras(channels=1, shape=("N", 8, 6, 1)), {"mode": "L", "mean": (0,), "std": (1,)}, "NHWC", "float32"),
    ],
)
def test_layout_and_type_are_those_of_the_graph(
    tmp_path: Path, file: bytes, changes: dict[str, object], layout: str, dtype: str
) -> None:
    card = tried(file, **changes).card

    assert (card.preprocessing.layout, card.preprocessing.dtype, card.max_batch) == (layout, dtype, None)
    assert tried(file, **changes | {"layout": layout, "dtype": dtype}).card == card
    model = served(file, card, tmp_path)
    np.testing.assert_allclose(scores(model), np.vstack([scores(model, n)[-1:] for n in range(1, 7)]), atol=1e-3)


def test_gray_images_without_a_channel_axis() -> None:
    before = (helper.make_node("Unsqueeze", ["images", "axis"], ["first"]),)
    nodes = [
        *before,
        helper.make_node("Flatten", ["first"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weights"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "mnist",
        [helper.make_tensor_value_info("images", models.FLOAT, ("N", 28, 28))],
        [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
        [models.ints("axis", 1), models.tensor("weights", 784, 3)],
    )

    card = tried(models.saved(graph), size=(28, 28), mode="L", mean=(0,), std=(1,)).card

    assert card.preprocessing.layout == "NHW"


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_a_layout_that_cannot_be_told_is_asked_for(layout: str) -> None:
    nodes = [
        helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pool",
        [helper.make_tensor_value_info("images", models.FLOAT, ("N", "a", "b", "c"))],
        [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
    )
    file, size = models.saved(graph), (3, 3)

    with pytest.raises(BadModel, match="layouts NCHW and NHWC; say which"):
        tried(file, size=size)
    assert tried(file, size=size, layout=layout).card.preprocessing.layout == layout


@pytest.mark.parametrize("file", [models.ultralytics(), classifier(shape=(1, 3, *SIZE), output=(1, 3))])
def test_a_batch_of_one_is_served_one_by_one(tmp_path: Path, file: bytes) -> None:
    classified = tried(file)

    assert (classified.card.max_batch, codes(classified)) == (1, ["batch_of_one"])
    model = served(file, classified.card, tmp_path)
    assert model.batch == 1
    free = classifier(SOFTMAX if classified.card.output == "probabilities" else models.LOGITS)
    np.testing.assert_allclose(scores(model), scores(served(free, tried(free).card, tmp_path)), atol=1e-5)


def test_a_fixed_batch_is_filled_up(tmp_path: Path) -> None:
    file, free = classifier(shape=(4, 3, *SIZE), output=(4, 3)), classifier()

    classified = tried(file)

    assert (classified.card.max_batch, codes(classified)) == (4, [])
    model = served(file, classified.card, tmp_path)
    assert model.batch == 4
    for count in (1, 4, 6):
        np.testing.assert_allclose(
            scores(model, count), scores(served(free, tried(free).card, tmp_path), count), atol=1e-5
        )


def test_a_graph_that_only_runs_single_images_is_served_one_by_one() -> None:
    classified = tried(classifier(reshaped(1, 3)))

    assert (classified.card.max_batch, codes(classified)) == (1, ["batch_of_one"])


def test_a_graph_that_fails_on_large_batches_is_served_in_smaller_ones() -> None:
    table = numpy_helper.from_array(np.zeros((5, 1), np.float32))  # a row for each place in the batch, up to 5
    head = (
        helper.make_node("Constant", [], ["table"], value=table),
        helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([0], np.int64))),
        helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.array(1, np.int64))),
        helper.make_node("Constant", [], ["start"], value=numpy_helper.from_array(np.array(0, np.int64))),
        helper.make_node("Shape", ["logits"], ["size"], end=1),
        helper.make_node("Squeeze", ["size", "zero"], ["count"]),
        helper.make_node("Range", ["start", "count", "one"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["offsets"]),
        helper.make_node("Add", ["logits", "offsets"], ["output"]),
    )

    classified = tried(classifier(head))

    assert (classified.card.max_batch, codes(classified)) == (4, ["batch_limited"])


def normalized_over_the_batch() -> models.Nodes:
    mean = helper.make_node("ReduceMean", ["logits", "zero"], ["mean"], keepdims=1)
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array([0], np.int64)))
    return (zero, mean, helper.make_node("Sub", ["logits", "mean"], ["output"]))


def test_images_that_influence_each_other_are_run_one_by_one() -> None:
    head = normalized_over_the_batch()

    classified = tried(classifier(head))

    assert classified.card.max_batch == 1
    assert "batch_dependent" in codes(classified)
    with pytest.raises(BadModel, match="outputs for an image depend on the others"):
        tried(classifier(head, shape=(4, 3, *SIZE), output=(4, 3)))


@pytest.mark.parametrize("shape", [(-1, 3, 1, 1), (-1, 1, 1, 3), (-1, 1, 3)])
def test_axes_of_length_one_are_dropped(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = classifier(reshaped(*shape), output=("N", *shape[1:]))

    card = tried(file).card

    assert card.max_batch is None
    assert scores(served(file, card, tmp_path)).shape == (6, 3)


def test_a_batch_of_one_may_lack_its_axis_in_the_output(tmp_path: Path) -> None:
    file = classifier(reshaped(3), shape=(1, 3, *SIZE), output=(3,))

    assert scores(served(file, tried(file).card, tmp_path)).shape == (6, 3)
