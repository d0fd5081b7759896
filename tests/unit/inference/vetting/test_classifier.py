"""Uploaded image classifiers, as exporters write them."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper, numpy_helper

from contract.errors import BadModel
from contract.kinds.vet import ImageInput, ModelMetadata
from contract.models import ModelCard
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import probabilities
from services.inference.vetting.classifier import Classified, try_classifier
from services.inference.vetting.samples import trial_images
from services.inference.vetting.static import append_card, check, parse
from tests.support import onnx_classifiers as models
from tests.support.onnx_classifiers import SIZE, SOFTMAX, classifier, keras

LABELS = ("ant", "bee", "cow")
HALVES = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def image(**changes: object) -> ImageInput:
    return ImageInput.model_validate({"size": SIZE} | HALVES | changes)


def tried(file: bytes, *, labels: tuple[str, ...] = LABELS, output: str | None = None, **changes: object) -> Classified:
    metadata = ModelMetadata.model_validate({"labels": labels, "preprocessing": image(**changes), "output": output})
    return try_classifier(ModelLoader().load(file), metadata, check(parse(file)).output_layer, 8)


def codes(classified: Classified) -> list[str]:
    return [warning.code for warning in classified.warnings]


def served(file: bytes, card: ModelCard, folder: Path) -> LoadedModel:
    path = folder / "model.onnx"
    path.write_bytes(file)
    append_card(path, card)
    model = ModelLoader(max_batch=8).load(path)
    assert model.card == card
    return model


def scores(model: LoadedModel, count: int = 6) -> np.ndarray:
    shape = model.card.preprocessing.image.shape
    images = trial_images(shape)[:count]
    return probabilities(model.run(images), model.card.output)


def raw(file: bytes, inputs: np.ndarray) -> np.ndarray:
    model = ModelLoader().load(file)
    return np.concatenate([model.session.run(None, {"images": row[np.newaxis]})[0] for row in inputs])


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


def reshaped(*shape: int) -> models.Nodes:
    constant = numpy_helper.from_array(np.array(shape, np.int64))
    return (
        helper.make_node("Constant", [], ["form"], value=constant),
        helper.make_node("Reshape", ["logits", "form"], ["output"]),
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


def two_inputs() -> bytes:
    graph = helper.make_graph(
        [helper.make_node("Add", ["images", "mask"], ["output"])],
        "two",
        [helper.make_tensor_value_info(name, models.FLOAT, ("N", 3)) for name in ("images", "mask")],
        [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
    )
    return models.saved(graph)


def two_outputs() -> bytes:
    model = parse(classifier())
    model.graph.output.append(helper.make_tensor_value_info("features", models.FLOAT, ("N", 4)))
    file: bytes = model.SerializeToString()
    return file


BEST_CLASS = (helper.make_node("ArgMax", ["logits"], ["output"], axis=1),)


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        (
            classifier(shape=("N", 3, 299, 299)),
            {"size": (224, 224)},
            r"the graph takes 3×299×299 images, the metadata says 224×224: set preprocessing.size to \[299, 299\]",
        ),
        (keras(shape=("N", 299, 200, 3)), {"size": (200, 299)}, r"takes 3×299×200 .* says 200×299: .* \[299, 200\]"),
        (classifier(), {"mode": "L", "mean": (0,), "std": (1,)}, "takes 3×8×6 images, .* mode L.*mode to RGB"),
        (classifier(shape=("N", 1, 8, 6), channels=1), {}, "takes 1×8×6 images, .* mode RGB.*mode to L"),
        (keras(shape=("N", 8, 6, 4), channels=4), {}, "takes 4×8×6 images"),
        (keras(), {"layout": "NCHW"}, "has channels last; preprocessing.layout is NCHW: change it to NHWC"),
        (classifier(), {"layout": "NHWC"}, "has channels first; preprocessing.layout is NHWC: change it to NCHW"),
        (classifier(), {"dtype": "float16"}, "takes float32 images; preprocessing.dtype is float16"),
        (models.quantized(), {}, "takes uint8 pixels unchanged; leave mean, std and scale out"),
        (classifier(), {"mean": None, "std": None}, "takes float32 images, so preprocessing needs mean and std"),
        (classifier(), {"labels": ("ant", "bee")}, "gives 3 scores for each image, but there are 2 labels"),
        (classifier(classes=1, output=("N", 1)), {}, "gives 1 score for each image, but there are 3 labels"),
        (two_inputs(), {}, "has 2 inputs \\('images', 'mask'\\)"),
        (two_outputs(), {}, "has 2 outputs \\('output', 'features'\\)"),
        (classifier(BEST_CLASS, output=("N", 1), output_dtype=7), {}, "output is int64, but scores are"),
        (classifier(reshaped(1, 3, 2), classes=6, output=(1, 3, 2)), {}, r"has the shape \[1, 3, 2\]"),
        (
            classifier(reshaped(7), output=(7,)),
            {},
            r"fails on an input of float32 \[1, 3, 8, 6\], which is 1 black",
        ),
    ],
)
def test_every_cause_has_its_own_message(file: bytes, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(BadModel, match=reason):
        tried(file, **changes)  # type: ignore[arg-type]


def dense(height: int, width: int, channels: int, *, last: bool = False) -> bytes:
    """Return a dense layer for images of one size, whose input does not declare it."""
    start = [helper.make_node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2])] if last else []
    nodes = [
        *start,
        helper.make_node("Conv", ["first" if last else "images", "kernels"], ["maps"]),
        helper.make_node("Flatten", ["maps"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "weights"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dense",
        [helper.make_tensor_value_info("images", models.FLOAT, ("N", "a", "b", "c"))],
        [helper.make_tensor_value_info("output", models.FLOAT, ("N", 3))],
        [models.tensor("kernels", 1, channels, 1, 1), models.tensor("weights", height * width, 3)],
    )
    return models.saved(graph)


GRAY = {"mode": "L", "mean": (0,), "std": (1,)}


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        (dense(8, 6, 3, last=True), {"layout": "NCHW"}, "8×6 in mode RGB and layout NCHW, but runs .*layout NHWC"),
        (dense(8, 6, 3), {"layout": "NHWC"}, "runs with preprocessing.layout NCHW"),
        (dense(8, 6, 1), {}, "8×6 in mode RGB, but runs with preprocessing.mode L"),
        (dense(8, 6, 3), GRAY, "8×6 in mode L, but runs with preprocessing.mode RGB"),
        (dense(32, 32, 3), {}, r"8×6 in mode RGB, but runs with preprocessing.size \[32, 32\]"),
        (dense(299, 299, 3), {"size": (224, 224)}, r"224×224 .* runs with preprocessing.size \[299, 299\]"),
        (dense(31, 7, 3), {}, r"fails on an input of float32 \[1, 3, 8, 6\]"),
        (dense(8, 6, 3), {"labels": ("ant", "bee")}, "gives 3 scores for each image, but there are 2 labels"),
    ],
)
def test_the_cause_is_found_by_trying_if_the_graph_does_not_declare_it(
    file: bytes, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadModel, match=reason):
        tried(file, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dtype", "shape", "reason"),
    [
        (7, ("N", 3, 8, 6), "input is int64; images can be"),
        (models.FLOAT, ("N", 784), r"input has the shape \[N, 784\]; images of the metadata are \[N, 3, 8, 6\] or"),
        (models.FLOAT, (3, 8, 6), "has no axis for the batch"),
    ],
)
def test_inputs_that_are_not_images_are_named(dtype: int, shape: tuple[int | str, ...], reason: str) -> None:
    graph = helper.make_graph(
        [helper.make_node("Cast", ["images"], ["output"], to=models.FLOAT)],
        "other",
        [helper.make_tensor_value_info("images", dtype, shape)],
        [helper.make_tensor_value_info("output", models.FLOAT, shape)],
    )

    with pytest.raises(BadModel, match=reason):
        tried(models.saved(graph))


def test_outputs_that_are_not_numbers_are_a_warning() -> None:
    head = (helper.make_node("Log", ["logits"], ["output"]),)

    assert "not_a_number" in codes(tried(classifier(head)))
