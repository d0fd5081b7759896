"""Metadata of uploaded models."""

import pytest
from pydantic import ValidationError

from contract.errors import Invalid
from contract.kinds.vet import ImageInput, ModelMetadata
from contract.models import ModelCard
from tests.examples import IMAGE, IMAGE_INPUT, LABELS, MODEL_MANIFEST, PREPROCESSING, VETTED_MANIFEST


def test_labels_and_preprocessing_make_a_card() -> None:
    metadata = ModelMetadata(labels=LABELS, preprocessing=IMAGE_INPUT)

    assert metadata.card == ModelCard(labels=LABELS, preprocessing=PREPROCESSING) == MODEL_MANIFEST.card


@pytest.mark.parametrize(
    "metadata", [ModelMetadata(), ModelMetadata(labels=LABELS), ModelMetadata(preprocessing=IMAGE_INPUT)]
)
def test_labels_or_preprocessing_alone_make_no_card(metadata: ModelMetadata) -> None:
    assert metadata.card is None


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
        {"layout": "NHWC"},
        {"size": (0, 8)},
    ],
    ids=str,
)
def test_an_invalid_image_input_is_rejected(change: dict[str, object]) -> None:
    good = {"size": IMAGE.size, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    ImageInput.model_validate(good)

    with pytest.raises(ValidationError):
        ImageInput.model_validate(good | change)
