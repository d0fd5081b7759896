"""The output of an evaluation: a row for each image, as JSON lines or Parquet."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from media.judging.temperature import probabilities
from services.inference.judging.answers import Answers
from services.inference.judging.originals import Originals

MOST_SCORES = 100  # classes of a row, best first
NO_ANSWER = "there is no answer for this image"

_CHUNK = 1024
SCHEMA = pa.schema(
    [
        ("image", pa.int64()),
        ("sha256", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("score", pa.float32()),
        ("label_score", pa.float32()),
        ("suggested", pa.string()),
        ("baseline_predicted", pa.string()),
        ("baseline_score", pa.float32()),
        ("scores", pa.list_(pa.struct([("label", pa.string()), ("score", pa.float32())]))),
        ("error", pa.string()),
    ]
)

Row = dict[str, Any]


def rows_of(
    answers: Answers, baseline: Answers | None, suspects: dict[int, int], index: Originals | None
) -> Iterator[Row]:
    """Yield a row with the columns of SCHEMA that have a value, for each image in order.

    `suspects` are the classes that images with a likely label error probably show, by number of the image.
    """
    for start in range(0, len(answers), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores, best = _scores(answers, part)
        baseline_scores, baseline_best = _scores(baseline, part) if baseline else (None, None)
        for offset in range(len(scores)):
            image, truth = start + offset, int(answers.truth[start + offset])
            row: Row = {"image": image}
            if index and index.hashes[image]:
                row |= {"sha256": index.hashes[image], "path": index.paths[image]}
            row["label"] = answers.labels[truth]
            if np.isnan(scores[offset]).any():
                yield row | {"error": NO_ANSWER}
                continue
            row |= _best(answers, scores[offset], best[offset]) | {"label_score": float(scores[offset, truth])}
            if image in suspects:
                row["suggested"] = answers.labels[suspects[image]]
            if baseline is not None and baseline_scores is not None and baseline_best is not None:
                compared = _best(baseline, baseline_scores[offset], baseline_best[offset])
                row |= {f"baseline_{name}": compared[name] for name in ("predicted", "score")}
            ranked = np.argsort(-scores[offset], kind="stable")[:MOST_SCORES].tolist()
            yield row | {"scores": [_score(answers, scores[offset], number) for number in ranked]}


def write(rows: Iterator[Row], form: Literal["jsonl", "parquet"], path: Path) -> None:
    """Write the rows in a format; only some of them are in memory at a time."""
    if form == "jsonl":
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return
    with pq.ParquetWriter(path, SCHEMA) as writer:
        while group := list(islice(rows, _CHUNK)):
            writer.write_table(pa.Table.from_pylist(group, SCHEMA))


def _scores(answers: Answers, part: slice) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(invalid="ignore"):
        return probabilities(answers.logits[part]), answers.logits[part].argmax(axis=1)


def _best(answers: Answers, scores: np.ndarray, number: int) -> Row:
    return {"predicted": answers.labels[number], "score": float(scores[number])}


def _score(answers: Answers, scores: np.ndarray, number: int) -> Row:
    return {"label": answers.labels[number], "score": float(scores[number])}
