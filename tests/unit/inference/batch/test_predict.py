"""Batch prediction jobs, in one attempt or in parts."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from contract.access import DEFAULT_PROJECT
from contract.evaluation import Metrics
from contract.images import ImageSpec
from contract.jobs import Job, JobKind, JobState
from contract.kinds.predict import PredictRequest, PredictResult, PredictSpec
from media.judging.tally import Tally
from services.inference.batch.predict import predict
from services.inference.batch.rows import PredictionRow, read_lines
from services.storage.jobs.claims import Claim
from services.storage.stores import Stores
from tests.support.images import class_folders, encoded, zipped
from tests.support.job_runs import memory_stores, run, uploaded
from tests.support.onnx_models import CARD, expected_logits, random_images
from tests.support.prediction_data import WEIGHTS, fetch, publish_model, publish_split

IMAGES = random_images(20)
LABELS = np.arange(20) % 3
LOGITS = expected_logits(IMAGES, WEIGHTS).astype(np.float32)
SPLIT = {"dataset": "pets@1", "split": "test"}


@pytest.fixture
def stores() -> Stores:
    stores = memory_stores()
    publish_model(stores)
    return stores


def predicted(stores: Stores, folder: Path, source: dict[str, Any], **spec: Any) -> tuple[Job, list[Claim]]:
    request = PredictSpec.model_validate({"model": "pet-cnn@1", "input": source} | spec)
    return run(stores, PredictRequest(kind=JobKind.PREDICT, spec=request), predict, folder)


def result(job: Job) -> PredictResult:
    assert job.state == JobState.SUCCEEDED, job.error
    return PredictResult.model_validate(job.result)


def output(stores: Stores, job: Job, folder: Path) -> Path:
    return fetch(stores.objects, stores.of(DEFAULT_PROJECT).jobs.output(job.id), folder / "output")


def rows(stores: Stores, job: Job, folder: Path) -> list[PredictionRow]:
    return list(read_lines(output(stores, job, folder)))


def same(metrics: Metrics | None, reference: Metrics | None) -> bool:
    """Return whether metrics are equal, except for the last digits of the loss, which is summed in another order."""
    assert metrics is not None
    assert reference is not None
    return metrics.loss == pytest.approx(reference.loss) and metrics == reference.model_copy(
        update={"loss": metrics.loss}
    )


def test_a_split_has_rows_and_metrics(stores: Stores, tmp_path: Path) -> None:
    publish_split(stores, IMAGES, LABELS)

    job, attempts = predicted(stores, tmp_path, SPLIT, top_k=2)

    prediction = result(job)
    assert len(attempts) == 1
    assert (prediction.count, prediction.failed) == (20, 0)
    assert prediction.metrics is not None
    expected = Tally.of(LOGITS, LABELS).metrics(CARD.labels)
    assert prediction.metrics.confusion_matrix == expected.confusion_matrix
    assert prediction.metrics.loss == pytest.approx(expected.loss, rel=1e-4)
    written = rows(stores, job, tmp_path)
    assert [row.image for row in written] == list(range(20))
    assert [row.label for row in written] == [CARD.labels[label] for label in LABELS]
    assert [[best.label for best in row.predictions or ()] for row in written] == [
        [CARD.labels[index] for index in np.argsort(-logits)[:2]] for logits in LOGITS
    ]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_parts_write_the_same_file(stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    # given the predictions of a split from one attempt
    publish_split(stores, IMAGES, LABELS, shards=3)
    whole, _ = predicted(stores, tmp_path / "whole", SPLIT, top_k=3, format=form)

    # when the same job runs in parts of at most six images
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "6")
    job, attempts = predicted(stores, tmp_path / "parts", SPLIT, top_k=3, format=form)

    # then four parts give the same file, byte for byte
    assert [attempt.part for attempt in attempts[1:-1]] == [
        {"start": start, "stop": start + 5} for start in range(0, 20, 5)
    ]
    assert same(result(job).metrics, result(whole).metrics)
    assert result(job).model_dump(exclude={"metrics"}) == result(whole).model_dump(exclude={"metrics"})


def test_an_archive_has_rows_by_name_and_no_metrics(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an archive with images in a folder and a file that is not an image
    files = {f"in/{number:02d}.png": encoded(image.transpose(1, 2, 0)) for number, image in enumerate(IMAGES)}
    upload = uploaded(stores, zipped(tmp_path / "pets.zip", files | {"in/notes.txt": b"text"}))
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "10")

    # when it is predicted, in parts
    job, attempts = predicted(stores, tmp_path / "attempts", {"upload": upload}, format="csv")

    # then every file has a row
    prediction = result(job)
    assert len(attempts) == 1 + 3 + 1
    assert (prediction.count, prediction.failed, prediction.metrics) == (21, 1, None)
    with output(stores, job, tmp_path).open(newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["image"] for row in written] == [*files, "in/notes.txt"]
    best = [CARD.labels[index] for index in LOGITS.argmax(axis=1)]
    assert [row["predicted"] for row in written] == [*best, ""]
    assert written[-1]["error"] == "not a readable image: text; leave it out"
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in (files | {"in/notes.txt": b"text"}).items()}
    assert {row["image"]: row["sha256"] for row in written} == hashes


def test_files_that_the_archive_left_out_are_the_last_rows(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "2")
    upload = uploaded(stores, zipped(tmp_path / "pets.zip", {"a.zip": b"PK", "b.tar": b""} | class_folders(count=2)))

    job, _ = predicted(stores, tmp_path / "attempts", {"upload": upload})

    written = rows(stores, job, tmp_path)
    assert [row.image for row in written][-2:] == ["a.zip", "b.tar"]
    assert [row.error and row.error.message for row in written] == [None] * 4 + ["nested archive"] * 2


@pytest.mark.parametrize("most", ["100", "6"])
def test_the_images_of_a_split_are_named_by_path_and_hash_if_there_is_an_index(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    # given a split whose index lacks one image
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", most)
    publish_split(stores, IMAGES, LABELS, shards=3, index=[number for number in range(20) if number != 4])

    # when it is predicted
    job, _ = predicted(stores, tmp_path, SPLIT)

    # then the others have paths and hashes
    written = rows(stores, job, tmp_path)
    assert [row.image for row in written] == ["4" if n == 4 else f"{n:02d}.png" for n in range(20)]
    assert [row.sha256 for row in written] == [None if n == 4 else f"{n:064x}" for n in range(20)]


def test_an_archive_is_predicted_to_parquet(stores: Stores, tmp_path: Path) -> None:
    upload = uploaded(stores, zipped(tmp_path / "pets.zip", class_folders(count=2)))

    job, _ = predicted(stores, tmp_path / "attempts", {"upload": upload}, format="parquet", top_k=1000)

    table = pq.read_table(output(stores, job, tmp_path))
    assert table.column("image").to_pylist() == ["cat/000.png", "cat/001.png", "dog/000.png", "dog/001.png"]
    assert table.schema.names[-1] == "score_3"


def test_a_split_with_a_class_unknown_to_the_model_has_no_metrics(stores: Stores, tmp_path: Path) -> None:
    publish_split(stores, IMAGES, LABELS, classes=("cat", "dog", "emu"))

    job, _ = predicted(stores, tmp_path, SPLIT)

    assert result(job).metrics is None
    assert {row.label for row in rows(stores, job, tmp_path)} == {"cat", "dog", "emu"}
    logged = [
        event.data["message"] for event in stores.of(DEFAULT_PROJECT).events.after(job.id, 0) if event.kind == "log"
    ]
    assert logged == ["the dataset has classes that the model does not know, so there are no metrics"]


def test_a_split_with_other_image_preprocessing_is_rejected(stores: Stores, tmp_path: Path) -> None:
    publish_split(stores, IMAGES, LABELS, image=ImageSpec(size=(8, 6), resize="pad"))

    job, _ = predicted(stores, tmp_path, SPLIT)

    assert job.state == JobState.FAILED
    assert job.error is not None
    assert job.error.code == "invalid"
    assert "takes images as 8×6 RGB (stretch), but the dataset has them as 8×6 RGB (pad)" in job.error.message


def test_an_empty_split_is_rejected(stores: Stores, tmp_path: Path) -> None:
    publish_split(stores, IMAGES, LABELS)

    job, _ = predicted(stores, tmp_path, SPLIT | {"split": "val"})

    assert job.error is not None
    assert (job.error.code, job.error.message) == ("invalid", "the dataset pets@1 has no val split")


def test_a_failing_part_fails_the_job_with_its_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a model with a wrong number of logits
    stores = memory_stores()
    publish_model(stores, weights=np.zeros((144, 4), np.float32))
    publish_split(stores, IMAGES, LABELS)
    monkeypatch.setenv("TIDEPOOL_PART_IMAGES", "6")

    # when the job runs in parts
    job, attempts = predicted(stores, tmp_path, SPLIT)

    # then the first part's error is the job's, and no other part starts
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "bad_model")
    assert job.error.message.startswith("part 1: the graph gives 4 scores for each image")
    assert [attempt.part is None for attempt in attempts] == [True, False]
