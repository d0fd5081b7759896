"""Reads the rows of images from the file that a batch prediction or an evaluation wrote."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

MOST_SCORES = 5


class OutputRow(NamedTuple):
    """The answer to an image: the best classes with their scores, at least one.

    `image` is its name. `sha256`, `label` and `suggested` are None if the file does not have them; `suggested` is the
    class that an image with a likely label error probably shows, and `label_score` the score of its label.
    """

    image: str
    sha256: str | None
    label: str | None
    scores: tuple[tuple[str, float], ...]
    label_score: float | None = None
    suggested: str | None = None


def read_rows(path: Path, form: str) -> Iterator[OutputRow]:
    """Yield the rows that have an answer, some thousand in memory at a time; `form` is jsonl, csv or parquet."""
    if form == "parquet":
        file = pq.ParquetFile(path)
        rows: Iterable[dict[str, Any]] = (row for batch in file.iter_batches() for row in batch.to_pylist())
        yield from _answered(rows)
        return
    with path.open(encoding="utf-8", newline="") as text:
        yield from _answered(csv.DictReader(text) if form == "csv" else map(json.loads, text))


def _answered(rows: Iterable[dict[str, Any]]) -> Iterator[OutputRow]:
    for row in rows:
        if scores := _scores(row):
            label_score = row.get("label_score")
            yield OutputRow(
                image=str(row.get("path") or row["image"]),
                sha256=row.get("sha256") or None,
                label=row.get("label") or None,
                scores=scores,
                label_score=None if label_score is None else float(label_score),
                suggested=row.get("suggested") or None,
            )


def _scores(row: dict[str, Any]) -> tuple[tuple[str, float], ...]:
    """Return the best classes of a row: a list of them, columns such as `label_1`, or the best one."""
    if listed := row.get("scores") or row.get("predictions"):
        return tuple((best["label"], float(best["score"])) for best in listed[:MOST_SCORES])
    ranks = range(1, MOST_SCORES + 1)
    ranked = tuple((row[f"label_{rank}"], float(row[f"score_{rank}"])) for rank in ranks if row.get(f"label_{rank}"))
    if ranked or not row.get("predicted"):
        return ranked
    return ((row["predicted"], float(row["score"])),)
