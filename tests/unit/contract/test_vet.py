"""Metadata of uploaded models."""

import pytest
from pydantic import ValidationError

from contract.errors import BadModel, Invalid
from contract.kinds.vet import ImageInput, ModelMetadata, VetSpec
from contract.models import ModelCard
from tests.examples import IMAGE, IMAGE_INPUT, LABELS, MODEL_MANIFEST, PREPROCESSING, VETTED_MANIFEST


def test_a_manifest_with_labels_and_preprocessing_has_a_card() -> None:
    assert MODEL_MANIFEST.card == ModelCard(labels=LABELS, preprocessing=PREPROCESSING)


def test_preprocessing_is_completed_by_the_graphs_layout_and_type() -> None:
    assert IMAGE_INPUT.preprocessing("NCHW", "float32") == PREPROCESSING
    last = IMAGE_INPUT.preprocessing("NHWC", "float16")
    assert (last.layout, last.dtype, last.mean) == ("NHWC", "float16", PREPROCESSING.mean)


def test_a_uint8_input_takes_pixels_unchanged() -> None:
    preprocessing = ImageInput(size=(8, 6)).preprocessing("NHWC", "uint8")

    for mean, std, scale in ((0, 1, 1), (0, 1, 255), (0, 1 / 255, 1)):
        image = ImageInput(size=(8, 6), mean=(mean,) * 3, std=(std,) * 3, scale=scale, dtype="uint8")
        assert image.preprocessing("NHWC", "uint8") == preprocessing
    assert (preprocessing.mean, preprocessing.std, preprocessing.scale) == ((0.0,) * 3, (1.0,) * 3, 255)
    with pytest.raises(BadModel, match="leave mean, std and scale out"):
        IMAGE_INPUT.preprocessing("NHWC", "uint8")
    with pytest.raises(BadModel, match="needs mean and std"):
        ImageInput(size=(8, 6)).preprocessing("NCHW", "float32")


def test_labels_may_be_given_by_class_number() -> None:
    metadata = ModelMetadata.model_validate_json('{"labels": {"1": "dog", "0": "cat", "2": "owl"}}')

    assert metadata.labels == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"labels": ["cat", "dog", "cat"]}, "the label 'cat' occurs more than once"),
        ({"labels": {"0": "cat", "1": "cat"}}, "the label 'cat' occurs more than once"),
        ({"labels": {"1": "cat", "2": "dog"}}, "class numbers from 0, each once"),
        ({"labels": {"cat": 0, "dog": 1}}, "keys of labels must be class numbers"),
        ({"output": "scores"}, "'logits' or 'probabilities'"),
        ({"samples": {"x": [[1.0, float("nan")]]}}, "a number, a text, or lists"),
        ({"samples": {"x": {"y": 1}}}, "a number, a text, or lists"),
        ({"samples": {"x": [0] * 65_537}}, "at most 65536 elements; send more as an .npz"),
    ],
)
def test_invalid_metadata_is_rejected_with_a_reason(metadata: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ModelMetadata.model_validate(metadata)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}, '"scale": 255'),
        ({"std": (58.395, 57.12, 57.375)}, '"scale": 255'),
        ({"mean": (127.5, 127.5, 127.5)}, '"scale": 255'),
        ({"mean": (-123.675, -116.28, -103.53)}, '"scale": 255'),
        ({"scale": 255}, "for values of 0..1 leave scale out"),
        ({"dtype": "uint8"}, "uint8 input takes the pixels unchanged"),
        ({"mean": None}, "both mean and std"),
        ({"mean": None, "std": None, "dtype": "float16"}, "needed to make float16"),
    ],
    ids=str,
)
def test_implausible_statistics_are_rejected_with_a_reason(change: dict[str, object], reason: str) -> None:
    good = {"size": IMAGE.size, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}

    with pytest.raises(ValidationError, match=reason):
        ImageInput.model_validate(good | change)


@pytest.mark.parametrize(
    ("mean", "std", "scale"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), 255),
        ((127.5,) * 3, (127.5,) * 3, 255),
        ((0.0,) * 3, (1.0,) * 3, 255),
        ((0.0,) * 3, (1.0,) * 3, 1),
        ((103.939, 116.779, 123.68), (1.0,) * 3, 255),
        ((0.0,) * 3, (1 / 255,) * 3, 1),
    ],
)
def test_usual_statistics_are_accepted(mean: tuple[float, ...], std: tuple[float, ...], scale: int) -> None:
    image = ImageInput.model_validate({"size": (8, 6), "mean": mean, "std": std, "scale": scale})

    preprocessing = image.preprocessing("NCHW", "float32")
    assert (preprocessing.mean, preprocessing.std, preprocessing.scale) == (mean, std, scale)


def test_samples_come_from_one_place() -> None:
    source = {"upload": "u"}
    spec = {"model": "mine", "source": source, "samples": {"x": [1]}, "samples_file": source}

    with pytest.raises(ValidationError, match="either in the metadata or as a file"):
        VetSpec.model_validate(spec)


def test_the_error_of_a_model_without_a_card_says_what_to_do() -> None:
    with pytest.raises(Invalid, match="metadata, or send tensors to /v2"):
        _ = VETTED_MANIFEST.card


@pytest.mark.parametrize(
    "change",
    [
        {"mean": (0.5,), "std": (0.5,)},
        {"mode": "L"},
        {"std": (0.5, 0.5, 0.0)},
        {"std": (0.5, 0.5, float("nan"))},
        {"layout": "CHWN"},
        {"dtype": "int8"},
        {"scale": 2},
        {"size": (0, 8)},
    ],
    ids=str,
)
def test_an_invalid_image_input_is_rejected(change: dict[str, object]) -> None:
    good = {"size": IMAGE.size, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    ImageInput.model_validate(good)

    with pytest.raises(ValidationError):
        ImageInput.model_validate(good | change)
