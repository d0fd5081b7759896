"""The rows of an image are found in files of every format, and left out."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media.image_rows import ImageRows, has_rows, without_rows

SHA256 = "ab" * 32
Row = dict[str, Any]
FORMS = ("jsonl", "csv", "parquet")
ROWS: list[Row] = [
    {"image": "a.png", "sha256": "0" * 64, "label": 'ä,\n"q"'},
    {"image": "b.png", "sha256": SHA256, "label": None},
    {"image": "c.png", "sha256": None, "label": "x"},
]


def written(path: Path, rows: list[Row], form: str) -> Path:
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    elif form == "csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("image", "left"),
    [
        (ImageRows(SHA256), [0, 2]),
        (ImageRows(SHA256, frozenset({"c.png"})), [0]),
        (ImageRows(SHA256, frozenset({"a.png"})), [0, 2]),  # it has another hash
        (ImageRows("1" * 64), [0, 1, 2]),
    ],
)
def test_rows_are_left_out(tmp_path: Path, form: str, image: ImageRows, left: list[int]) -> None:
    source, target = written(tmp_path / "source", ROWS, form), tmp_path / "target"

    assert without_rows(source, target, form, image) == 3 - len(left)
    assert has_rows(io.BytesIO(source.read_bytes()), form, image) == (len(left) < 3)

    if len(left) == 3:
        assert not target.exists()
        return
    expected = written(tmp_path / "expected", [ROWS[number] for number in left], form)
    if form == "parquet":
        assert pq.read_table(target).to_pylist() == pq.read_table(expected).to_pylist()
    else:
        assert target.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_older_releases_have_numbers_and_no_hashes(tmp_path: Path, form: str) -> None:
    rows: list[Row] = [{"image": number, "score": 0.5} for number in range(3)]
    source, target = written(tmp_path / "source", rows, form), tmp_path / "target"

    assert without_rows(source, target, form, ImageRows(SHA256, frozenset({"1", "a.png"}))) == 1
    assert not has_rows(target, form, ImageRows(SHA256, frozenset({"1"})))
    assert has_rows(target, form, ImageRows(SHA256, frozenset({"2"})))


def test_a_hash_across_two_reads_is_found(tmp_path: Path) -> None:
    line = json.dumps({"image": "x" * (2**20 - 40), "sha256": SHA256}) + "\n"
    source = tmp_path / "source"
    source.write_text(line)

    assert without_rows(source, tmp_path / "target", "jsonl", ImageRows(SHA256)) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_file_can_become_empty(tmp_path: Path, form: str) -> None:
    source, target = written(tmp_path / "source", [ROWS[1]], form), tmp_path / "target"

    assert without_rows(source, target, form, ImageRows(SHA256)) == 1
    assert not has_rows(target, form, ImageRows(SHA256))
