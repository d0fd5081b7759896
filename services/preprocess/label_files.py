"""Reads files with labels of images: Label Studio's JSON, JSON_MIN and CSV, and other tables.

Formats of Label Studio: https://labelstud.io/guide/export and https://labelstud.io/guide/task_format; releases before
1.0 write `completions` in place of `annotations`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from contract.errors import BadDataset
from media.archives.limits import MIB
from media.archives.names import IMAGES
from services.preprocess.columns import LABEL, PATH
from services.preprocess.tables import Table, normalised_column, read_table

MOST_BYTES = 128 * MIB
MOST_JSON_BYTES = 64 * MIB  # takes about ten times as much memory
MOST_ROWS = 2_000_000
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"RIFF", b"II*\0", b"MM\0*")
_LABEL = "label"  # the name of the tag in Tidepool's exports
_OWN = frozenset(  # fields that Label Studio and Tidepool's exports add
    {
        *("id", "annotation_id", "annotator", "completed_by", "created_at", "updated_at", "lead_time", "agreement"),
        *("sha256", "split", "path", "file", "width", "height"),
    }
)


class LabelRow(NamedTuple):
    """A label of an image, which is named by its hash or by one of some texts: paths, names of files or addresses.

    `label` is empty for an image that was not labelled, None if its label is not exactly one class.
    """

    sha256: str | None
    names: tuple[str, ...]
    label: str | None


def read_labels(path: Path) -> Iterator[LabelRow]:
    """Yield the rows of a file; raise BadDataset if it is in no known format."""
    require_size(path.stat().st_size)
    data = path.read_bytes()
    if data.startswith(_IMAGES):
        raise BadDataset("this is an image and not a file of labels; send what Label Studio exports as JSON or CSV")
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"[", b"{"):
        if len(text) > MOST_JSON_BYTES:
            limit = MOST_JSON_BYTES // MIB
            raise BadDataset(f"the JSON file of labels has over {limit} MiB; send it in several files, or as CSV")
        yield from _json_rows(text)
    else:
        yield from _table_rows(read_table("labels.csv", data, None, (*PATH, "sha256")))


def require_size(size: int) -> None:
    """Raise BadDataset for a file that is too large to be read."""
    if size > MOST_BYTES:
        raise BadDataset(f"the file of labels has over {MOST_BYTES // MIB} MiB; send it in several files")


def _json_rows(text: bytes) -> Iterator[LabelRow]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise BadDataset("the file of labels is not JSON; send what Label Studio exports as JSON or CSV") from None
    tasks = document if isinstance(document, list) else [document]
    for number, task in enumerate(tasks, start=1):
        if not isinstance(task, dict):
            raise BadDataset(f"item {number} of the file of labels is not a task of Label Studio, which is an object")
        yield _task_row(task) if isinstance(task.get("data"), dict) else _min_row(task)


def _task_row(task: dict[str, Any]) -> LabelRow:
    """Return the row of a task: the label of its ground truth, or else of its newest annotation."""
    annotations = task.get("annotations", task.get("completions")) or []
    done = [one for one in annotations if isinstance(one, dict) and not _is_skipped(one)]
    chosen = [choice for one in sorted(done, key=_weight) for choice in [_chosen(one.get("result"))] if choice != ""]
    return _row(task["data"], chosen[-1] if chosen else "")


def _is_skipped(annotation: dict[str, Any]) -> bool:
    return bool(annotation.get("was_cancelled") or annotation.get("skipped"))


def _weight(annotation: dict[str, Any]) -> tuple[bool, str]:
    return bool(annotation.get("ground_truth")), str(annotation.get("updated_at") or annotation.get("created_at") or "")


def _chosen(result: Any) -> str | None:
    """Return the one choice of an annotation: that of the tag `label`, if there are several tags."""
    results = [one for one in result if isinstance(one, dict)] if isinstance(result, list) else []
    choices = [one for one in results if one.get("type") == "choices"]
    named = [one for one in choices if one.get("from_name") == _LABEL]
    value = (named or choices)[0].get("value") if len(named or choices) == 1 else None
    if not choices:
        return ""
    return _one(value.get("choices")) if isinstance(value, dict) else None


def _min_row(task: dict[str, Any]) -> LabelRow:
    """Return the row of a task in JSON_MIN: the fields of its data beside its choices."""
    if _LABEL in task:
        return _row(task, _cell_label(task[_LABEL]))
    labels = [_cell_label(value) for name, value in task.items() if name not in _OWN and not _is_name(name, value)]
    return _row(task, labels[0] if len(labels) == 1 else None if labels else "")


def _is_name(name: str, value: Any) -> bool:
    """Return whether a field names the image."""
    return normalised_column(name) in PATH or (isinstance(value, str) and value.lower().endswith(IMAGES))


def _cell_label(value: Any) -> str | None:
    """Return the label in a field: a text, or several choices, also as JSON in a text."""
    if isinstance(value, str) and value.lstrip().startswith('{"choices"'):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, dict):
        value = value.get("choices")
    return "" if value is None else _one(value)


def _one(value: Any) -> str | None:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    return value if isinstance(value, str) else None


def _row(data: dict[str, Any], label: str | None) -> LabelRow:
    sha256 = data.get("sha256")
    texts = [value for name, value in data.items() if isinstance(value, str) and _is_name(name, value)]
    return LabelRow(sha256 if isinstance(sha256, str) and sha256 else None, tuple(texts), label)


def _table_rows(table: Table) -> Iterator[LabelRow]:
    label = _label_column(table)
    names = [number for number, column in enumerate(table.columns) if column in PATH and column != "id"]
    names += [number for number, column in enumerate(table.columns) if column == "id" and not names]
    sha256 = table.columns.index("sha256") if "sha256" in table.columns else None
    if sha256 is None and not names:
        raise BadDataset("the file of labels names no images; give it a column sha256, or path, or image")
    for cells in table.rows(MOST_ROWS):
        row = [*cells, *[""] * (len(table.columns) - len(cells))]
        named = tuple(row[number] for number in names if row[number])
        yield LabelRow((row[sha256] or None) if sha256 is not None else None, named, _cell_label(row[label]))


def _label_column(table: Table) -> int:
    """Return the usual column of labels, or the only one that Label Studio does not add by itself."""
    if usual := [table.columns.index(column) for column in LABEL if column in table.columns]:
        return usual[0]
    left = [number for number, name in enumerate(table.columns) if name not in _OWN and name not in PATH]
    if len(left) != 1:
        raise BadDataset("the file of labels has no column of labels; name it label")
    return left[0]
