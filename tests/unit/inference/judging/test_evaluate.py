"""Evaluation jobs, in one attempt or in parts."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from contract.artifacts import Bucket
from contract.datasets import Split
from contract.evaluation import TrainingImages
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from contract.variants import Variant
from media.images import decode
from media.judging.label_errors import likely_label_errors
from media.judging.mcnemar import mcnemar
from media.judging.tally import Tally
from media.judging.temperature import fit_temperature, probabilities
from media.judging.unknown import unknown_threshold
from services.storage.stores import Stores
from tests.examples import LABEL_ERROR, SLOW_IMAGE
from tests.support.images import encoded, noise, zipped
from tests.support.job_runs import memory_stores, uploaded
from tests.support.onnx_models import CARD, expected_logits, linear, random_images
from tests.unit.inference.judging.publishing import (
    evaluated,
    output,
    publish_dataset,
    publish_network,
    result,
    stored_index,
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


def rows(stores: Stores, job: object, folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in output(stores, job, folder).read_text().splitlines()]  # type: ignore[arg-type]


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


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("part_images", ["2048", "13"])
def test_original_images_are_prepared_as_the_model_needs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, part_images: str
) -> None:
    # given a dataset of 4×4 images, with originals of 20×16 pixels, and models of both sizes
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", part_images)
    stores = memory_stores()
    files = originals("test", 30)
    validation = originals("val", 9)
    archive = packed(tmp_path, kind, {name: data for name, data, _ in [*files[::-1], *validation]})
    upload = uploaded(stores, archive)
    small = ImageSpec(size=(4, 4))
    pixels = np.stack([decode(data, small) for _, data, _ in files])
    index = stored_index(
        stores, tmp_path, {Split.VAL: validation, Split.TEST: files}, archive if kind == "zip" else None
    )
    splits = {
        Split.TEST: (pixels, np.arange(30) % 3),
        Split.VAL: (np.stack([decode(data, small) for _, data, _ in validation]), np.arange(9) % 3),
    }
    publish_dataset(stores, splits, image=small, index=index, upload=upload)
    publish_network(stores, WEIGHTS)
    card = ModelCard(labels=CARD.labels, preprocessing=Preprocessing(image=small, mean=(0.5,) * 3, std=(0.2,) * 3))
    publish_network(stores, OTHER[:48], card)

    # when they are compared
    job, attempts = evaluated(stores, tmp_path / "run", compare_with="pet-cnn@2")

    # then each got its own size, and rows name the originals
    assert len(attempts) == (1 if part_images == "2048" else 1 + 3 + 1)
    large = np.stack([decode(data, CARD.preprocessing.image) for _, data, _ in files])
    expected = Tally.of(expected_logits(large, WEIGHTS).astype(np.float32), np.arange(30) % 3).metrics(CARD.labels)
    report = result(job)
    assert report.metrics.confusion_matrix == expected.confusion_matrix
    assert report.metrics.loss == pytest.approx(expected.loss, rel=1e-4)
    assert report.baseline is not None
    other = Tally.of(expected_logits(pixels, OTHER[:48], card).astype(np.float32), np.arange(30) % 3)
    assert report.baseline.metrics.loss == pytest.approx(other.loss / 30, rel=1e-4)
    assert report.temperature is not None
    assert report.temperature.chosen_on == Split.VAL
    written = rows(stores, job, tmp_path)
    assert [row["path"] for row in written] == [name for name, _, _ in files]
    assert [row["sha256"] for row in written] == [hashlib.sha256(data).hexdigest() for _, data, _ in files]
    assert report.mistakes[0].path == files[report.mistakes[0].image][0]


def originals(split: str, count: int) -> list[tuple[str, bytes, str]]:
    """Make files of noise: their names, bytes and classes."""
    labels = [CARD.labels[number % 3] for number in range(count)]
    return [
        (f"{split}/{label}/{number}.png", encoded(noise(16, 20, seed=number + 100 * len(split))), label)
        for number, label in enumerate(labels)
    ]


def packed(folder: Path, kind: str, files: dict[str, bytes]) -> Path:
    if kind == "zip":
        return zipped(folder / "pets.zip", files)
    with tarfile.open(folder / "pets.tar.gz", "w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder / "pets.tar.gz"


def test_images_that_the_index_lacks_are_left_out_where_originals_are_needed(tmp_path: Path) -> None:
    # given an index without the last of six images
    stores = memory_stores()
    files = originals("test", 6)
    archive = packed(tmp_path, "zip", {name: data for name, data, _ in files})
    upload = uploaded(stores, archive)
    index = stored_index(stores, tmp_path, {Split.TEST: files}, archive, indexed=5)
    small = ImageSpec(size=(4, 4))
    pixels = np.stack([decode(data, small) for _, data, _ in files])
    publish_dataset(stores, {Split.TEST: (pixels, np.arange(6) % 3)}, image=small, index=index, upload=upload)
    publish_network(stores, WEIGHTS)

    job, _ = evaluated(stores, tmp_path / "run")

    report = result(job)
    assert (report.count, report.failed) == (5, 1)
    written = rows(stores, job, tmp_path)
    assert [row.get("path") for row in written] == [*(name for name, _, _ in files[:5]), None]
    assert written[-1]["error"] == "there is no answer for this image"


def test_images_that_the_model_was_trained_on_are_counted(tmp_path: Path) -> None:
    # given a model that was trained on pets@1, and pets@2 with four of its training images in the test split
    stores = memory_stores()
    images, labels = random_images(12), np.arange(12) % 3
    first = stored_index(stores, tmp_path, {Split.TRAIN: originals("train", 12)})
    publish_dataset(stores, {Split.TRAIN: (images, labels)}, index=first)
    files = originals("train", 4) + originals("validation", 8)
    second = stored_index(stores, tmp_path, {Split.TEST: files})
    publish_dataset(stores, {Split.TEST: (images, labels)}, index=second)
    publish_network(stores, WEIGHTS, dataset="pets@1")
    publish_network(stores, OTHER, dataset="pets@7")

    report = result(evaluated(stores, tmp_path / "run", dataset="pets@2", compare_with="pet-cnn@2")[0])

    assert report.warnings[:2] == (
        "4 images of 12 are also in the training split of pets@1, on which pet-cnn@1 was trained, so it looks better "
        "here than it is.",
        "pet-cnn@2 was trained on pets@7, another version of this dataset; if some of these images were among its "
        "training images, it looks better here than it is.",
    )


def test_an_archive_that_is_gone_is_said_so(tmp_path: Path) -> None:
    stores = memory_stores()
    index = stored_index(stores, tmp_path, {Split.TEST: originals("test", 6)})
    small = ImageSpec(size=(4, 4))
    images = random_images(6)[:, :, :4, :4]
    publish_dataset(stores, {Split.TEST: (images, np.arange(6) % 3)}, image=small, index=index)
    publish_network(stores, WEIGHTS)

    job, _ = evaluated(stores, tmp_path / "run")

    assert job.error is not None
    assert job.error.code == "not_found"


def test_parquet_has_the_columns_of_the_rows(stores: Stores, tmp_path: Path) -> None:
    job, _ = evaluated(stores, tmp_path, format="parquet")

    table = pq.read_table(output(stores, job, tmp_path))
    assert table["predicted"].to_pylist() == [CARD.labels[best] for best in LOGITS.argmax(axis=1)]
    assert table["sha256"].null_count == 60
    assert [score["label"] for score in table["scores"][0].as_py()] == [CARD.labels[i] for i in np.argsort(-LOGITS[0])]
