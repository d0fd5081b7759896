"""The images of an evaluation, from the file that has a row for each of them."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow.parquet as pq

from contract.artifacts import ObjectRef
from contract.evaluation import JudgedImage
from services.storage.objects import Objects

MOST_BYTES = 64 << 20  # of a file that is read for a page
_FIELDS = ("image", "sha256", "path", "label", "predicted", "score", "label_score")


def judged_images(
    objects: Objects, file: ObjectRef, form: str, label: str, predicted: str, limit: int
) -> tuple[tuple[JudgedImage, ...], int] | None:
    """Return at most `limit` images of a cell of the confusion matrix, the most confident first, and their number.

    Without a cell, these are all wrong answers; with only a label, the wrong ones that have or should have it.
    None if the file is too large to read for a page.
    """
    if file.size > MOST_BYTES:
        return None
    rows = [row for row in _rows(objects.read(file), form, label, predicted) if "predicted" in row]
    chosen = [
        row
        for row in rows
        if (
            row["label"] == label and row["predicted"] == predicted
            if predicted
            else row["label"] != row["predicted"] and (not label or label in (row["label"], row["predicted"]))
        )
    ]
    chosen.sort(key=lambda row: -row["score"])
    images = (JudgedImage.model_validate({name: row.get(name) for name in _FIELDS}) for row in chosen[:limit])
    return tuple(images), len(chosen)


def _rows(content: bytes, form: str, label: str, predicted: str) -> Iterator[Mapping[str, Any]]:
    if form == "parquet":
        table = pq.read_table(io.BytesIO(content), columns=list(_FIELDS))
        yield from (row for row in table.to_pylist() if row["predicted"] is not None)
        return
    wanted = [_pair("label", label), _pair("predicted", predicted)] if predicted else []
    for line in content.split(b"\n"):
        if line and all(pair in line for pair in wanted):  # most lines are not parsed
            yield json.loads(line)


def _pair(name: str, value: str) -> bytes:
    return f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}".encode()
