"""What an evaluation accepts."""

from typing import Any

import pytest
from pydantic import ValidationError

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest, Split
from contract.errors import Invalid
from contract.images import ImageSpec
from contract.kinds.evaluate import EvaluateSpec, classes_of
from contract.kinds.kind import Manifests
from contract.references import references_in, with_references
from contract.training import ModelManifest
from tests.examples import DATASET_MANIFEST, MODEL_MANIFEST, ROWS_FILE, SHARD

DATASET = DATASET_MANIFEST.model_copy(update={"shards": {Split.TEST: (SHARD,)}})


def spec(**fields: Any) -> EvaluateSpec:
    return EvaluateSpec.model_validate({"model": "pet-cnn@2", "dataset": "pets@1"} | fields)


def refusal(
    dataset: DatasetManifest = DATASET,
    model: ModelManifest = MODEL_MANIFEST,
    baseline: ModelManifest = MODEL_MANIFEST,
    **fields: Any,
) -> str:
    """Return why an evaluation is refused; empty if it is accepted."""
    models = {"pet-cnn@2": model, "pet-cnn@1": baseline}
    try:
        spec(**fields).check(Manifests({"pets@1": dataset}, models))
    except Invalid as error:
        return error.message
    return ""


def labels(*names: str) -> ModelManifest:
    return MODEL_MANIFEST.model_copy(update={"labels": names})


def test_all_references_are_pinned() -> None:
    evaluation = spec(compare_with="pet-cnn@production")

    assert set(references_in(evaluation)) == {
        ("model", "pet-cnn@2"),
        ("model", "pet-cnn@production"),
        ("dataset", "pets@1"),
    }
    pinned = with_references(evaluation, {("model", "pet-cnn@production"): "pet-cnn@1"})
    assert pinned.models == ("pet-cnn@2", "pet-cnn@1")


def test_without_another_model_there_is_one_to_judge() -> None:
    assert spec().models == ("pet-cnn@2",)
    assert ("model", None) not in set(references_in(spec()))


@pytest.mark.parametrize("known", [("cat", "dog"), ("dog", "emu", "cat")])
def test_a_model_that_knows_the_classes_is_accepted(known: tuple[str, ...]) -> None:
    assert refusal(model=labels(*known), compare_with="pet-cnn@1") == ""


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"split": "val"}, "the dataset pets@1 has no val split"),
        ({"compare_with": "pet-cnn@2"}, "compare_with is the model itself, pet-cnn@2; name another model or version"),
        ({"model": labels("cat")}, "pet-cnn@2 does not know the class 'dog' of pets@1; choose a model"),
        ({"model": labels("a", "b")}, "pet-cnn@2 does not know the classes 'cat', 'dog' of pets@1"),
        ({"compare_with": "pet-cnn@1", "baseline": labels("cat")}, "pet-cnn@1 does not know the class 'dog'"),
        (
            {"model": MODEL_MANIFEST.model_copy(update={"labels": ()})},
            "the model has no labels or no preprocessing for images",
        ),
        (
            {"dataset": DATASET.model_copy(update={"image": ImageSpec(size=(64, 64))})},
            "pet-cnn@2 takes images as 32×32 RGB (crop), pets@1 has them as 64×64 RGB (stretch), and without an index",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(fields: dict[str, Any], reason: str) -> None:
    assert refusal(**fields).startswith(reason)


def test_another_image_size_is_accepted_if_there_is_an_index() -> None:
    index: ObjectRef = ROWS_FILE
    larger = DATASET.model_copy(update={"image": ImageSpec(size=(64, 64))})

    assert "without an index" in refusal(dataset=larger)
    assert refusal(dataset=larger.model_copy(update={"index": index})) == ""


def test_classes_without_images_in_the_split_need_not_be_known() -> None:
    counts = {Split.TEST: {"cat": 2, "dog": 0}}
    dataset = DATASET.model_copy(update={"counts_by_class": counts})

    assert refusal(dataset=dataset, model=labels("cat")) == ""
    assert classes_of(dataset, Split.TEST) == ("cat",)
    assert classes_of(dataset, Split.VAL) == ("cat", "dog")  # not counted


@pytest.mark.parametrize(
    "wrong",
    [{"unknown_precision": 0.0}, {"unknown_precision": 1.5}, {"split": "best"}, {"format": "xls"}, {"top_k": 1}],
)
def test_wrong_fields_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        spec(**wrong)
