"""Rows go to a file and come back."""

from pathlib import Path

import pytest

from contract.errors import BadImage
from contract.predictions import ImageResult, Prediction
from services.inference.batch.rows import Row, read_lines, write_lines
from services.inference.engine.postprocess import failed

FULL = Row.of("a/1.png", "cat", ImageResult(predictions=(Prediction(label="dog", score=0.5),)))


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (FULL, '{"image":"a/1.png","label":"cat","predictions":[{"label":"dog","score":0.5}]}'),
        (Row.of(7, None, failed(BadImage("no"))), '{"image":7,"error":{"code":"bad_image","message":"no"}}'),
    ],
    ids=["predicted", "failed"],
)
def test_row_is_one_line_without_what_it_has_not(tmp_path: Path, row: Row, line: str) -> None:
    write_lines([row], tmp_path / "rows")

    assert (tmp_path / "rows").read_text() == line + "\n"


def test_rows_come_back_whatever_their_names(tmp_path: Path) -> None:
    rows = [FULL.model_copy(update={"image": name}) for name in ("17", 17, "line\u2028break\u0085", "катя/кот.png")]

    write_lines(rows, tmp_path / "rows")

    assert list(read_lines(tmp_path / "rows")) == rows
