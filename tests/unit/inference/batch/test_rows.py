"""Rows written to and read from a file."""

from pathlib import Path

import pytest

from contract.errors import BadImage
from contract.predictions import ImageResult, Prediction
from services.inference.batch.rows import PredictionRow, read_lines, write_lines
from services.inference.engine.postprocess import failed_result

FULL = PredictionRow.of("a/1.png", "cat", ImageResult(predictions=(Prediction(label="dog", score=0.5),)))


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (FULL, '{"image":"a/1.png","label":"cat","predictions":[{"label":"dog","score":0.5}]}'),
        (
            PredictionRow.of(7, None, failed_result(BadImage("no"))),
            '{"image":7,"error":{"code":"bad_image","message":"no"}}',
        ),
    ],
    ids=["predicted", "failed"],
)
def test_a_row_is_one_line_without_empty_fields(tmp_path: Path, row: PredictionRow, line: str) -> None:
    write_lines([row], tmp_path / "rows")

    assert (tmp_path / "rows").read_text() == line + "\n"


def test_rows_with_unusual_image_names_survive_the_round_trip(tmp_path: Path) -> None:
    rows = [FULL.model_copy(update={"image": name}) for name in ("17", 17, "line\u2028break\u0085", "катя/кот.png")]

    write_lines(rows, tmp_path / "rows")

    assert list(read_lines(tmp_path / "rows")) == rows
