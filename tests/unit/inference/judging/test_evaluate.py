"""Evaluation jobs, in one attempt or in parts."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from contract.artifacts import Bucket
from contract.datasets import Split
from contract.evaluation import ClassComparison, TrainingImages
from contract.variants import Variant
from media.judging.label_errors import likely_label_errors
from media.judging.mcnemar import mcnemar
from media.judging.tally import Tally
from media.judging.temperature import fit_temperature, probabilities
from media.judging.unknown import unknown_threshold
from services.storage.stores import Stores
from tests.examples import LABEL_ERROR, SLOW_IMAGE
from tests.support.job_runs import memory_stores
from tests.support.onnx_models import CARD, expected_logits, linear, random_images
from tests.unit.inference.judging.publishing import (
    evaluated,
    output,
    publish_dataset,
    publish_network,
    result,
    rows,
)

WEIGHTS = np.random.default_rng(1).normal(0, 0.1, (144, 3)).astype(np.float32)
OTHER = np.random.default_rng(2).normal(0, 0.1, (144, 3)).astype(np.float32)
IMAGES = random_images(60)
LOGITS = expected_logits(IMAGES, WEIGHTS).astype(np.float32)
LABELS = np.where(np.arange(60) % 4, LOGITS.argmax(axis=1), np.arange(60) % 3)  # three of four answers are right
VALIDATION = random_images(40, seed=5)
VALIDATION_LABELS = np.arange(40) % 3
SPLITS = {Split.TEST: (IMAGES, LABELS), Split.VAL: (VALIDATION, VALIDATION_LABELS)}


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores()
    publish_network(stores, WEIGHTS)
    publish_dataset(stores, SPLITS)
    return stores


def test_the_report_is_made_from_the_logits(stores: Stores, tmp_path: Path) -> None:
    job, attempts = evaluated(stores, tmp_path)

    report = result(job)
    expected = Tally.of(LOGITS, LABELS).metrics(CARD.labels)
    assert len(attempts) == 1
    assert (report.count, report.failed, report.baseline, report.comparison) == (60, 0, None, None)
    assert report.metrics.confusion_matrix == expected.confusion_matrix
    assert report.metrics.loss == pytest.approx(expected.loss, rel=1e-4)
    assert report.metrics.expected_calibration_error == pytest.approx(expected.expected_calibration_error, rel=1e-3)
    scores = probabilities(LOGITS)
    wrong = np.flatnonzero(scores.argmax(axis=1) != LABELS)
    assert [image.image for image in report.mistakes] == wrong[np.argsort(-scores[wrong].max(axis=1))].tolist()[:20]
    suspects = likely_label_errors(scores, LABELS)
    assert [error.image for error in report.label_errors] == [suspect.row for suspect in suspects]
    assert report.label_error_count == len(suspects) > 0


def test_validation_images_choose_the_temperature_and_the_threshold(stores: Stores, tmp_path: Path) -> None:
    job, _ = evaluated(stores, tmp_path, unknown_precision=0.5)

    logits = expected_logits(VALIDATION, WEIGHTS).astype(np.float32)
    report = result(job)
    assert report.temperature is not None
    assert report.temperature.chosen_on == Split.VAL
    assert report.temperature.temperature == pytest.approx(fit_temperature(logits, VALIDATION_LABELS), rel=1e-3)
    threshold = unknown_threshold(probabilities(logits), VALIDATION_LABELS, 0.5)
    assert (report.unknown is None) == (threshold is None)
    assert not any("same images" in warning for warning in report.warnings)


def test_without_validation_images_a_warning_says_what_chose(tmp_path: Path) -> None:
    stores = memory_stores()
    publish_network(stores, WEIGHTS)
    publish_dataset(stores, {Split.TEST: SPLITS[Split.TEST]})

    report = result(evaluated(stores, tmp_path)[0])

    assert report.temperature is not None
    assert report.temperature.chosen_on == Split.TEST
    assert report.temperature.loss_after <= report.temperature.loss_before
    assert [warning for warning in report.warnings if "same images" in warning]


def test_the_output_has_a_row_for_each_image(stores: Stores, tmp_path: Path) -> None:
    job, _ = evaluated(stores, tmp_path)

    written = rows(stores, job, tmp_path)
    scores = probabilities(LOGITS)
    assert [row["image"] for row in written] == list(range(60))
    assert [row["label"] for row in written] == [CARD.labels[label] for label in LABELS]
    assert [row["predicted"] for row in written] == [CARD.labels[best] for best in LOGITS.argmax(axis=1)]
    assert [row["label_score"] for row in written] == pytest.approx(scores[np.arange(60), LABELS], rel=1e-3)
    assert [scores["label"] for scores in written[0]["scores"]] == [CARD.labels[i] for i in np.argsort(-LOGITS[0])]  # type: ignore[index,union-attr,attr-defined]
    suspects = {suspect.row: CARD.labels[suspect.suggested] for suspect in likely_label_errors(scores, LABELS)}
    assert {row["image"]: row["suggested"] for row in written if "suggested" in row} == suspects


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_parts_write_the_same_report_and_file(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    publish_network(stores, OTHER)
    whole, _ = evaluated(stores, tmp_path / "whole", format=form, compare_with="pet-cnn@2")

    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "17")
    job, attempts = evaluated(stores, tmp_path / "parts", format=form, compare_with="pet-cnn@2")

    assert len(attempts) == 1 + 6 + 1  # 60 test and 40 validation images
    assert result(job).model_dump(exclude={"output"}) == result(whole).model_dump(exclude={"output"})
    assert result(job).output == result(whole).output


def test_two_models_are_compared_on_the_same_images(stores: Stores, tmp_path: Path) -> None:
    publish_network(stores, OTHER)

    job, _ = evaluated(stores, tmp_path, compare_with="pet-cnn@2")

    report = result(job)
    right = LOGITS.argmax(axis=1) == LABELS
    other = expected_logits(IMAGES, OTHER).argmax(axis=1) == LABELS
    assert report.baseline is not None
    assert report.comparison is not None
    assert report.baseline.model == "pet-cnn@2"
    assert report.baseline.metrics.accuracy == pytest.approx(other.mean())
    assert (report.comparison.better, report.comparison.worse) == ((right & ~other).sum(), (~right & other).sum())
    assert (report.comparison.both_right, report.comparison.both_wrong) == (
        (right & other).sum(),
        (~right & ~other).sum(),
    )
    assert report.comparison.by_class == {
        label: ClassComparison(
            better=int((right & ~other & (number == LABELS)).sum()),
            worse=int((~right & other & (number == LABELS)).sum()),
        )
        for number, label in enumerate(CARD.labels)
        if (number == LABELS).any()
    }
    assert report.comparison.p_value == mcnemar(report.comparison.better, report.comparison.worse).p_value
    assert report.comparison.statement in report.summary
    best = [CARD.labels[number] for number in expected_logits(IMAGES, OTHER).argmax(axis=1)]
    assert [row["baseline_predicted"] for row in rows(stores, job, tmp_path)] == best


def test_the_variant_that_serves_is_judged(tmp_path: Path) -> None:
    # given a version whose int8 file, here that of another model, serves
    stores = memory_stores()
    publish_dataset(stores, SPLITS)
    publish_network(stores, WEIGHTS)
    served = stores.objects.put(Bucket.JOBS, "trained/attempts/1/int8.onnx", linear(weights=OTHER))
    variant = Variant(
        name="int8", artifact=served, size=served.size, accuracy=None, agreement=None, images_per_second=1
    )
    publish_network(stores, WEIGHTS, variants=(variant,), serving="int8")

    report = result(evaluated(stores, tmp_path, model="pet-cnn@2", compare_with="pet-cnn@1")[0])

    expected = Tally.of(expected_logits(IMAGES, OTHER).astype(np.float32), LABELS).metrics(CARD.labels)
    assert report.metrics.confusion_matrix == expected.confusion_matrix
    assert report.baseline is not None
    assert (report.model_variant, report.baseline.model_variant) == ("int8", "fp32")


def test_the_images_behind_each_cell_are_in_the_report_and_the_output(stores: Stores, tmp_path: Path) -> None:
    job, _ = evaluated(stores, tmp_path)

    report, written = result(job), rows(stores, job, tmp_path)
    assert report.confusions
    for confusion in report.confusions:
        cell = [row for row in written if (row["label"], row["predicted"]) == (confusion.label, confusion.predicted)]
        assert confusion.count == len(cell)
        assert {example.image for example in confusion.examples} <= {row["image"] for row in cell}
        i, j = CARD.labels.index(confusion.label), CARD.labels.index(confusion.predicted)
        assert confusion.count == report.metrics.confusion_matrix[i][j]


@pytest.mark.parametrize("classes", [("owl", "cat", "dog"), ("dog", "owl"), ("owl",)])
def test_classes_are_matched_by_name_and_may_be_a_subset(tmp_path: Path, classes: tuple[str, ...]) -> None:
    stores = memory_stores()
    publish_network(stores, WEIGHTS)
    labels = np.arange(60) % len(classes)
    publish_dataset(stores, {Split.TEST: (IMAGES, labels)}, classes)

    report = result(evaluated(stores, tmp_path)[0])

    numbers = np.array([CARD.labels.index(classes[label]) for label in labels])
    expected = Tally.of(LOGITS, numbers).metrics(CARD.labels)
    assert report.metrics.confusion_matrix == expected.confusion_matrix
    absent = set(CARD.labels) - set(classes)
    assert any("no images of" in warning for warning in report.warnings) == bool(absent)


def test_models_with_other_labels_can_be_compared(stores: Stores, tmp_path: Path) -> None:
    # given a model with the same weights and one more class, in another order
    card = CARD.model_copy(update={"labels": ("owl", "emu", "cat", "dog")})
    weights = np.stack([WEIGHTS[:, 2], np.full(144, -1e-6), WEIGHTS[:, 0], WEIGHTS[:, 1]], axis=1).astype(np.float32)
    publish_network(stores, weights - 0, card)

    report = result(evaluated(stores, tmp_path, compare_with="pet-cnn@2")[0])

    assert report.baseline is not None
    assert report.comparison is not None
    assert len(report.baseline.metrics.confusion_matrix) == 4
    assert report.comparison.better + report.comparison.both_right == round(report.metrics.accuracy * 60)


def test_the_validation_split_itself_can_be_judged(stores: Stores, tmp_path: Path) -> None:
    report = result(evaluated(stores, tmp_path, split="val")[0])

    assert (report.split, report.count) == (Split.VAL, 40)
    assert any("same images" in warning for warning in report.warnings)


def test_training_images_are_judged_with_a_warning(tmp_path: Path) -> None:
    stores = memory_stores()
    publish_network(stores, WEIGHTS, dataset="pets@1")
    publish_dataset(stores, {Split.TRAIN: SPLITS[Split.TEST]})

    report = result(evaluated(stores, tmp_path, split="train")[0])

    assert report.warnings[0].startswith("pet-cnn@1 was trained on these images")


def test_what_training_noticed_about_its_images_is_reported(tmp_path: Path) -> None:
    # given a model whose training has judged its images out of fold
    stores = memory_stores()
    noticed = TrainingImages(
        judged=60, accuracy=0.95, label_errors=(LABEL_ERROR,), label_error_count=7, slowest=(SLOW_IMAGE,)
    )
    publish_network(stores, WEIGHTS, dataset="pets@1", training_images=noticed)
    publish_dataset(stores, {Split.TRAIN: SPLITS[Split.TEST], Split.TEST: SPLITS[Split.VAL]})

    # when it is evaluated on them, and on others
    job, _ = evaluated(stores, tmp_path, split="train")
    other = result(evaluated(stores, tmp_path / "other")[0])

    # then the label errors of its training are listed, only for its own images
    report = result(job)
    assert (report.label_errors, report.label_error_count, report.slowest) == ((LABEL_ERROR,), 7, (SLOW_IMAGE,))
    assert "7 images may have a wrong label" in report.summary[-1]
    assert report.warnings[0] == (
        "pet-cnn@1 was trained on these images, so it looks better here than it is; evaluate it on the test split."
    )
    suggested = {row["image"]: row["suggested"] for row in rows(stores, job, tmp_path) if "suggested" in row}
    assert suggested == {LABEL_ERROR.image: LABEL_ERROR.suggested}
    assert (other.slowest, LABEL_ERROR in other.label_errors) == ((), False)


def test_images_without_an_answer_are_left_out(stores: Stores, tmp_path: Path) -> None:
    # given a baseline that overflows on bright images
    weights = np.full((144, 3), 3e38, np.float32)
    publish_network(stores, weights)

    job, _ = evaluated(stores, tmp_path, model="pet-cnn@2")

    assert job.error is not None
    assert job.error.message == "the output of the model is not a number for any of the images"


def test_parquet_has_the_columns_of_the_rows(stores: Stores, tmp_path: Path) -> None:
    job, _ = evaluated(stores, tmp_path, format="parquet")

    table = pq.read_table(output(stores, job, tmp_path))
    assert table["predicted"].to_pylist() == [CARD.labels[best] for best in LOGITS.argmax(axis=1)]
    assert table["sha256"].null_count == 60
    assert [score["label"] for score in table["scores"][0].as_py()] == [CARD.labels[i] for i in np.argsort(-LOGITS[0])]
