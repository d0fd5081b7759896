"""Evaluation jobs that need the original images, since the model takes other ones than the dataset has."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from contract.datasets import Split
from contract.images import ImageSpec, Preprocessing
from contract.models import ModelCard
from media.images import decode
from media.judging.tally import Tally
from tests.support.images import encoded, noise, zipped
from tests.support.job_runs import memory_stores, uploaded
from tests.support.onnx_models import CARD, expected_logits, random_images
from tests.support.revisions import Revisions
from tests.unit.inference.judging.publishing import (
    evaluated,
    publish_dataset,
    publish_network,
    result,
    rows,
    stored_index,
)

WEIGHTS = np.random.default_rng(1).normal(0, 0.1, (144, 3)).astype(np.float32)
OTHER = np.random.default_rng(2).normal(0, 0.1, (144, 3)).astype(np.float32)


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


@pytest.mark.parametrize("layout", ["zip", "tar.gz"])
@pytest.mark.parametrize("part_images", ["2048", "7"])
def test_originals_of_a_revised_version_are_gathered_from_its_uploads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, part_images: str
) -> None:
    # given a version with images of an archive, and others that people have added
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", part_images)
    stores = memory_stores()
    revisions = Revisions(stores, tmp_path)
    files = {name: data for split in ("train", "test") for name, data, _ in originals(split, 12)}
    revisions.prepare(files, layout)
    added = [encoded(noise(16, 20, seed=900 + number)) for number in range(6)]
    items = [revisions.sample(file, label=CARD.labels[number % 3]) for number, file in enumerate(added)]
    revisions.revised(reviews=items)
    publish_network(stores, WEIGHTS)

    # when a model is judged on them that needs other images than the dataset has
    job, _ = evaluated(stores, tmp_path / "run", dataset="pets@2", split="train")

    # then each original was read
    report = result(job)
    assert (report.count, report.failed) == (18, 0)
    contents = {hashlib.sha256(data).hexdigest(): data for data in (*files.values(), *added)}
    written = rows(stores, job, tmp_path)
    pixels = np.stack([decode(contents[row["sha256"]], CARD.preprocessing.image) for row in written])
    best = expected_logits(pixels, WEIGHTS).argmax(axis=1)
    assert [row["predicted"] for row in written] == [CARD.labels[number] for number in best]
