"""Uploaded files that are no classifiers of the images in their metadata: the error says what to change."""

import pytest
from onnx import helper

from contract.errors import BadModel
from services.inference.vetting.static import parse
from tests.support import onnx_classifiers as models
from tests.support.onnx_classifiers import classifier, keras
from tests.unit.inference.vetting.classifier_trials import reshaped, tried


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
