"""Files with labels are read in the formats that Label Studio documents, and as plain tables."""

import json
from pathlib import Path
from typing import Any

import pytest

from contract.errors import BadDataset
from services.preprocess.label_files import LabelRow, read_labels
from tests.support.images import png
from tests.support.label_studio import annotated, annotation, choices, completed, min_row

HASH = "a" * 64
IMAGE = "/data/upload/83/8a6bb1c2-cat.jpg"


def rows_of(folder: Path, content: Any) -> list[LabelRow]:
    path = folder / "labels"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return list(read_labels(path))


@pytest.mark.parametrize(
    ("task", "label"),
    [
        (annotated(IMAGE, annotation(choices("cat"))), "cat"),
        (completed(IMAGE, "cat"), "cat"),
        (min_row(IMAGE, "cat"), "cat"),
        (min_row(IMAGE, {"choices": ["cat"]}), "cat"),
        (min_row(IMAGE, "n/a"), "n/a"),
        # the newest annotation counts, unless one is the ground truth, and skipped ones never do
        (
            annotated(
                IMAGE,
                annotation(choices("cat"), updated="2022-01-01T00:00:00Z"),
                annotation(choices("dog"), updated="2021-01-01T00:00:00Z"),
            ),
            "cat",
        ),
        (
            annotated(
                IMAGE,
                annotation(choices("cat"), ground_truth=True),
                annotation(choices("dog"), updated="2030-01-01T00:00:00Z"),
            ),
            "cat",
        ),
        (annotated(IMAGE, annotation(choices("cat")), annotation(choices("dog"), was_cancelled=True)), "cat"),
        (annotated(IMAGE, annotation(choices("good", name="quality"), choices("cat", name="label"))), "cat"),
        # what has not one class has no label, or none that can be used
        (annotated(IMAGE), ""),
        (annotated(IMAGE, annotation()), ""),
        (annotated(IMAGE, annotation({"type": "rectanglelabels", "value": {"rectanglelabels": ["cat"]}})), ""),
        (annotated(IMAGE, annotation(choices("cat", "dog"))), None),
        (annotated(IMAGE, annotation(choices("good", name="quality"), choices("cat", name="kind"))), None),
        (min_row(IMAGE, {"choices": ["cat", "dog"]}), None),
    ],
)
def test_the_label_of_a_task_is_its_one_choice(tmp_path: Path, task: dict[str, Any], label: str | None) -> None:
    (row,) = rows_of(tmp_path, [task])

    assert row.label == label
    assert IMAGE in row.names
    assert row.sha256 is None


def test_a_hash_in_the_data_names_the_image(tmp_path: Path) -> None:
    tasks = [annotated(IMAGE, annotation(choices("cat")), sha256=HASH), min_row(IMAGE, "cat") | {"sha256": HASH}]

    assert {row.sha256 for row in rows_of(tmp_path, tasks)} == {HASH}


@pytest.mark.parametrize(
    "table",
    [
        f"annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at\n1,10,cat,2021,1,{IMAGE},4.2,2021\n",
        f"image\tid\tchoice\tannotator\n{IMAGE}\t1\tcat\t10\n",
        f"path,label\n{IMAGE},cat\n",
        f'\ufeffimage;label;note\n{IMAGE};"cat";x\n',
        f'image,choice\n{IMAGE},"{{""choices"": [""cat""]}}"\n',
    ],
)
def test_tables_are_read_too(tmp_path: Path, table: str) -> None:
    assert rows_of(tmp_path, table) == [LabelRow(None, (IMAGE,), "cat")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[1, 2]", "not a task of Label Studio"),
        ("[{", "is not JSON"),
        ("label\ncat\n", "names no images"),
        ("image,one,two\n1.jpg,a,b\n", "no column of labels"),
    ],
)
def test_another_file_is_refused_with_what_to_send(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(BadDataset, match=message):
        rows_of(tmp_path, content)


def test_an_image_is_no_file_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(png())

    with pytest.raises(BadDataset, match="this is an image and not a file of labels"):
        list(read_labels(path))
