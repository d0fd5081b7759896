"""The rows of predictions and evaluations are the same in every format."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.datasets import Label
from contract.jobs import JobError
from contract.predictions import Prediction
from media.output_rows import OutputRow, read_rows
from services.inference.batch.formats import Table, write
from services.inference.batch.rows import PredictionRow
from services.inference.judging import rows as judged

SHA256 = "a" * 64
DATASET_ROW = {"image": "train/cat/1.png", "sha256": SHA256, "label": "cat"}


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("top_k", [1, 2])
def test_the_rows_of_a_prediction(tmp_path: Path, form: Any, top_k: int) -> None:
    best = (Prediction(label="dog", score=0.75), Prediction(label="cat", score=0.25))[:top_k]
    rows = [
        PredictionRow(**DATASET_ROW, predictions=best),  # type: ignore[arg-type]
        PredictionRow(image="a,\nb.png", sha256=SHA256, predictions=best),
        PredictionRow(image="bad.png", error=JobError(code="bad_image", message="damaged")),
    ]
    path = tmp_path / "output"
    write(iter(rows), form, Table(top_k, numbered=False), path)

    scores: tuple[tuple[Label, float], ...] = (("dog", 0.75), ("cat", 0.25))[:top_k]
    assert list(read_rows(path, form)) == [
        OutputRow("train/cat/1.png", SHA256, "cat", scores),
        OutputRow("a,\nb.png", SHA256, None, scores),
    ]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_the_rows_of_an_evaluation(tmp_path: Path, form: Any) -> None:
    scores = [{"label": "dog", "score": 0.75}, {"label": "cat", "score": 0.25}]
    row = {"image": 3, "sha256": SHA256, "path": "train/cat/1.png", "label": "cat", "predicted": "dog", "score": 0.75}
    row |= {"label_score": 0.25, "suggested": "dog", "scores": scores}
    path = tmp_path / "output"
    judged.write(iter([row, {"image": 4, "label": "cat", "error": "there is no answer"}]), form, path)

    assert list(read_rows(path, form)) == [
        OutputRow("train/cat/1.png", SHA256, "cat", (("dog", 0.75), ("cat", 0.25)), 0.25, "dog")
    ]


def test_a_row_of_an_older_release_has_no_hash(tmp_path: Path) -> None:
    path = tmp_path / "output"
    path.write_text(json.dumps({"image": 7, "predictions": [{"label": "dog", "score": 0.5}]}) + "\n")

    assert list(read_rows(path, "jsonl")) == [OutputRow("7", None, None, (("dog", 0.5),))]
