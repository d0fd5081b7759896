"""The model card."""

import re

import pytest

from contract.catalog import DatasetVersion
from contract.choices import Choice
from contract.evaluation import ClassMetrics, EvaluationMetrics, Metrics
from contract.references import Reference
from contract.training import ModelManifest
from contract.variants import Variant
from services.gateway.model_files.card import card_of
from services.gateway.model_files.markdown import code, text
from tests.examples import (
    DATASET_MANIFEST,
    JOB_ID,
    MODEL_MANIFEST,
    ONNX_FILE,
    STUDY,
    TRAINING_IMAGES,
    VETTED_MANIFEST,
    WHEN,
)

REFERENCE = Reference(name="pet-cnn", version=3)


def metrics(**f1_by_label: float) -> Metrics:
    """Metrics in which the first class is taken for the second in 3 of 30 images."""
    count = len(f1_by_label)
    confusion = [[30 if row == column else 0 for column in range(count)] for row in range(count)]
    confusion[0][0], confusion[0][1] = 27, 3
    return Metrics(
        accuracy=0.9,
        top5_accuracy=1.0,
        loss=0.25,
        confusion_matrix=tuple(map(tuple, confusion)),
        per_class={
            label: ClassMetrics(precision=f1, recall=f1, f1=f1, support=30) for label, f1 in f1_by_label.items()
        },
    )


def manifest(**changes: object) -> ModelManifest:
    return MODEL_MANIFEST.model_copy(update=changes)


def test_the_card_names_the_weakest_classes_and_the_confusions() -> None:
    measured = metrics(cat=0.5, dog=0.9, owl=0.8)

    card = card_of(
        REFERENCE, manifest(labels=("cat", "dog", "owl"), metrics=EvaluationMetrics(val=None, test=measured))
    )

    rows = re.findall(r"^\| (\w+) \| ([\d.]+) % \|", card.partition("## Where it is weak")[2], re.MULTILINE)
    assert rows == [("cat", "50.0"), ("owl", "80.0"), ("dog", "90.0")]
    assert "- 3 of 30 images of cat were taken for dog." in card
    assert "**90.0 %** of the test images" in card


def test_the_card_of_an_ensemble_names_its_trials() -> None:
    study = STUDY.model_copy(update={"members": (3, 7, 1)})

    card = card_of(REFERENCE, manifest(study=study))

    assert "The answers are the mean of those of trials 3, 7 and 1 of a search." in card
    assert "The weights are those of epoch" not in card
    assert "The weights are those of epoch" in card_of(REFERENCE, manifest(study=STUDY))


def test_the_card_names_training_images_to_look_at() -> None:
    measured = EvaluationMetrics(val=None, test=metrics(cat=0.5, dog=0.9))

    card = card_of(REFERENCE, manifest(labels=("cat", "dog"), metrics=measured, training_images=TRAINING_IMAGES))

    assert "Training images that may have a wrong label, 1 of 80, the most suspicious first:" in card
    assert "- `test/dog/1.jpg`: dog, or cat?" in card
    assert "- `train/cat/3.jpg`: cat" in card


def test_the_card_shows_decisions_and_variants() -> None:
    fp32 = Variant(
        name="fp32", artifact=ONNX_FILE, size=2_000_000, accuracy=0.9, agreement=1.0, images_per_second=400.0
    )
    int8 = fp32.model_copy(update={"name": "int8", "images_per_second": 1240.0, "accuracy": None})
    reason = Choice(what="serving", value="int8", because="int8 answers 1,240 images a second, fp32 400")

    card = card_of(REFERENCE, manifest(variants=(fp32, int8), serving="int8", decisions=(reason,)))

    assert "| fp32 | 2.0 MB | 400 | 90.0 % | 100.0 % |" in card
    assert "| **int8** (serves) | 2.0 MB | 1,240 | – | 100.0 % |" in card
    assert "| `serving` | int8 | int8 answers 1,240 images a second, fp32 400 |" in card


def test_the_card_counts_the_images_of_a_dataset_that_still_exists() -> None:
    fields = {
        name: getattr(DATASET_MANIFEST, name)
        for name in set(DatasetVersion.model_fields) & set(DATASET_MANIFEST.model_fields_set)
    }
    dataset = DatasetVersion(
        name="pets", version=1, job=JOB_ID, created_at=WHEN, shape=DATASET_MANIFEST.image.shape, **fields
    )

    counts = DATASET_MANIFEST.counts
    assert f"{counts.train:,} images for training" in card_of(REFERENCE, MODEL_MANIFEST, dataset)
    assert "images for training" not in card_of(REFERENCE, MODEL_MANIFEST)
    one = dataset.model_copy(update={"rejected": 1})
    assert "\n1 file of the upload could not be used.\n" in card_of(REFERENCE, MODEL_MANIFEST, one)


def test_the_python_and_the_curl_of_the_card_name_the_model() -> None:
    card = card_of(REFERENCE, MODEL_MANIFEST)

    (python,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    compile(python, "card", "exec")
    assert 'client.predict("pet-cnn@3", "photo.jpg"' in python
    assert "/v1/models/pet-cnn/predict?version=3" in card


def test_the_card_of_an_uploaded_model_has_no_empty_sections() -> None:
    card = card_of(Reference(name="up", version=1), VETTED_MANIFEST)

    assert re.findall(r"^## (.*)", card, re.MULTILINE) == ["How to call it", "Where it comes from"]
    assert "curl $TIDEPOOL_URL/v2/models/up/versions/1" in card


def test_the_card_of_a_model_without_held_back_images_says_so() -> None:
    card = card_of(REFERENCE, manifest(metrics=EvaluationMetrics(val=None, test=None)))

    assert "no images that were held back" in card


@pytest.mark.parametrize(
    "label",
    ["a|b", "*bold*", "<script>alert(1)</script>", "[x](javascript:y)", "`code`", "line\n# heading", "a_b_c", "&lt;"],
)
def test_a_label_cannot_change_the_page(label: str) -> None:
    """Every special character is escaped, so no label makes a table cell, a link, HTML or a heading."""
    escaped = text(label)

    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|*<>\[\]`_#&]", escaped)
    assert re.sub(r"\\(.)", r"\1", escaped) == label.replace("\n", " ")


def test_code_keeps_its_quotes_and_its_cell() -> None:
    assert code("a`b|c\nd") == "`a'b¦c d`"


@pytest.mark.parametrize(("count", "start"), [(1, "1 image of its training was"), (2, "2 images of its training were")])
def test_the_card_says_that_weights_keep_what_was_erased(count: int, start: str) -> None:
    card = card_of(REFERENCE, manifest(trained_on_erased=count))

    assert f"- {start} erased from the data since. The weights keep what they learned" in card
    assert "erased" not in card_of(REFERENCE, manifest())
