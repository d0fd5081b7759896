"""Write the file of a batch prediction as JSON lines, CSV or Parquet, in a stream."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract.kinds.predict import Format
from services.inference.batch.rows import PredictionRow, write_lines

_GROUP_CELLS = 2**18  # per row group of a Parquet file; a group is held in memory


@dataclass(frozen=True)
class Table:
    """The columns of CSV and Parquet: the best prediction, then all `top_k` if that is more than one.

    `numbered`: images are numbers in a split, not names. Scores are softmax probabilities (0..1).
    """

    top_k: int
    numbered: bool

    @property
    def schema(self) -> pa.Schema:
        text, score = pa.string(), pa.float32()
        columns = [("image", pa.int64() if self.numbered else text), ("sha256", text), ("label", text)]
        columns += [("predicted", text), ("score", score), ("error", text)]
        for rank in self._ranks:
            columns += [(f"label_{rank}", text), (f"score_{rank}", score)]
        return pa.schema(columns)

    def record(self, row: PredictionRow) -> dict[str, Any]:
        """Return the row by column, without the columns that it has no value for."""
        best = row.predictions or ()
        cells: dict[str, Any] = {"image": row.image, "sha256": row.sha256, "label": row.label}
        if row.error is not None:
            cells["error"] = row.error.message
        if best:
            cells |= {"predicted": best[0].label, "score": best[0].score}
        for rank, prediction in zip(self._ranks, best, strict=False):
            cells |= {f"label_{rank}": prediction.label, f"score_{rank}": prediction.score}
        return cells

    @property
    def _ranks(self) -> range:
        return range(1, self.top_k + 1) if self.top_k > 1 else range(0)


def write(rows: Iterator[PredictionRow], form: Format, table: Table, path: Path) -> None:
    """Write the rows in a format; only some of them are in memory at a time."""
    if form == "jsonl":
        write_lines(rows, path)
    elif form == "csv":
        _write_csv(rows, table, path)
    else:
        _write_parquet(rows, table, path)


def _write_csv(rows: Iterator[PredictionRow], table: Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, table.schema.names)
        writer.writeheader()
        writer.writerows(map(table.record, rows))


def _write_parquet(rows: Iterator[PredictionRow], table: Table, path: Path) -> None:
    schema = table.schema
    size = max(1, _GROUP_CELLS // len(schema))
    with pq.ParquetWriter(path, schema) as writer:
        while group := list(islice(rows, size)):
            writer.write_table(pa.Table.from_pylist([table.record(row) for row in group], schema))
