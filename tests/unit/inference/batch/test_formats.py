"""The result file of a batch prediction in each format."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import BadImage
from contract.kinds.predict import Format
from contract.predictions import ImageResult, Prediction
from services.inference.batch import formats
from services.inference.batch.formats import Table
from services.inference.batch.rows import PredictionRow, read_lines
from services.inference.engine.postprocess import failed_result

BEST = (Prediction(label="dog", score=0.75), Prediction(label="cat", score=0.25))
SHA256 = "5" * 64
ROWS = [
    PredictionRow.of('a "b",\n1.png', "cat", ImageResult(predictions=BEST), SHA256),
    PredictionRow.of("bad.png", None, failed_result(BadImage("damaged, or cut off"))),
]


def written(folder: Path, form: Format, table: Table, rows: list[PredictionRow]) -> Path:
    path = folder / f"predictions.{form}"
    formats.write(iter(rows), form, table, path)
    return path


def test_jsonl_holds_the_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "jsonl", Table(top_k=2, numbered=False), ROWS)

    assert list(read_lines(path)) == ROWS


def test_csv_can_have_one_prediction_per_row(tmp_path: Path) -> None:
    path = written(tmp_path, "csv", Table(top_k=1, numbered=False), ROWS)

    assert path.read_bytes() == (
        b'image,sha256,label,predicted,score,error\r\n"a ""b"",\n1.png",'
        + SHA256.encode()
        + b',cat,dog,0.75,\r\nbad.png,,,,,"damaged, or cut off"\r\n'
    )


def test_csv_can_have_several_predictions_per_row(tmp_path: Path) -> None:
    path = written(
        tmp_path, "csv", Table(top_k=2, numbered=True), [PredictionRow.of(7, None, ImageResult(predictions=BEST))]
    )

    assert path.read_text().splitlines() == [
        "image,sha256,label,predicted,score,error,label_1,score_1,label_2,score_2",
        "7,,,dog,0.75,,dog,0.75,cat,0.25",
    ]


@pytest.mark.parametrize(("numbered", "kind"), [(True, pa.int64()), (False, pa.string())])
def test_parquet_columns_have_their_types_even_without_predictions(
    tmp_path: Path, numbered: bool, kind: pa.DataType
) -> None:
    bad = [
        PredictionRow.of(number if numbered else str(number), None, failed_result(BadImage("no")))
        for number in range(3)
    ]

    table = pq.read_table(written(tmp_path, "parquet", Table(top_k=1, numbered=numbered), bad))

    assert table.schema.field("image").type == kind
    assert table.schema.field("score").type == pa.float32()
    assert table.column("error").to_pylist() == ["no"] * 3
    assert table.column("predicted").null_count == 3


def test_parquet_can_have_several_predictions_per_row(tmp_path: Path) -> None:
    path = written(tmp_path, "parquet", Table(top_k=2, numbered=False), ROWS)

    first, second = pq.read_table(path).to_pylist()
    assert first == {
        "image": 'a "b",\n1.png',
        "sha256": SHA256,
        "label": "cat",
        "predicted": "dog",
        "score": 0.75,
        "error": None,
        "label_1": "dog",
        "score_1": 0.75,
        "label_2": "cat",
        "score_2": 0.25,
    }
    assert (second["image"], second["error"], second["label_1"]) == ("bad.png", "damaged, or cut off", None)


def test_parquet_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "_GROUP_CELLS", 6 * 4)
    rows = [PredictionRow.of(number, None, ImageResult(predictions=BEST[:1])) for number in range(10)]

    file = pq.ParquetFile(written(tmp_path, "parquet", Table(top_k=1, numbered=True), rows))

    assert file.num_row_groups == 3
    assert file.read().column("image").to_pylist() == list(range(10))


def test_rows_are_streamed_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"

    def rows() -> Iterator[PredictionRow]:
        for number in range(5000):
            if number == 4999:
                assert path.stat().st_size > 10_000
            yield PredictionRow.of(number, "cat", ImageResult(predictions=BEST))

    formats.write(rows(), "csv", Table(top_k=1, numbered=True), path)

    assert len(path.read_text().splitlines()) == 5001
