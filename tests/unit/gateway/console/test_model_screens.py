"""What the screens about models compute: matrix, lineage, differences, the images of a cell."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.artifacts import Bucket
from contract.catalog import Alias
from contract.evaluation import Metrics
from contract.references import Reference
from services.gateway.console.differences import differences, figures
from services.gateway.console.judged import judged_images
from services.gateway.console.lineage import lineage_of
from services.gateway.console.matrix import MOST, matrix_of
from services.storage.memory_objects import MemoryObjects
from services.storage.screens.compare import Compared
from services.storage.screens.model_version import DatasetOrigin, VersionDetails
from tests.examples import LINEAGE, METRICS, MODEL_MANIFEST, WHEN


def with_matrix(counts: list[list[int]]) -> Metrics:
    return METRICS.model_copy(update={"confusion_matrix": tuple(map(tuple, counts))})


def test_a_matrix_has_a_shade_for_each_count() -> None:
    matrix = matrix_of(("cat", "dog"), with_matrix([[9, 1], [0, 4]]))

    assert matrix is not None
    (right, wrong), (none, all_right) = (row.cells for row in matrix.rows)
    assert (right.level, all_right.level, none.level) == (8, 9, 0)
    assert 0 < wrong.level < right.level
    assert matrix.left_out == 0


def test_a_large_matrix_shows_the_classes_with_the_most_errors() -> None:
    size = 40
    counts = [[5 if row == column else 0 for column in range(size)] for row in range(size)]
    counts[30][31] = 3

    matrix = matrix_of([f"class {number}" for number in range(size)], with_matrix(counts))

    assert matrix is not None
    assert len(matrix.labels) == MOST
    assert {"class 30", "class 31"} <= set(matrix.labels)
    assert matrix.left_out == size - MOST


def test_a_matrix_of_other_classes_is_not_shown() -> None:
    assert matrix_of(("cat",), with_matrix([[1, 0], [0, 1]])) is None


def details(**changes: object) -> VersionDetails:
    values: dict[str, object] = {
        "reference": Reference(name="pet-cnn", version=2),
        "job": "0000-job",
        "created_at": WHEN,
        "manifest": MODEL_MANIFEST.model_copy(update={"lineage": LINEAGE.model_copy(update={"parent": "pet-cnn@1"})}),
        "rejected": None,
        "pinned": None,
        "aliases": (),
        "newest": 2,
        "origin": DatasetOrigin(reference="pets@1", job="1111-job", source="pets.zip"),
    }
    return VersionDetails(**(values | changes))  # type: ignore[arg-type]


def test_the_lineage_goes_from_the_upload_to_the_alias() -> None:
    alias = Alias(alias="production", version=2, versions={2: 90, 1: 10}, shadow=None, updated_at=WHEN)

    graph = lineage_of(details(aliases=(alias,)))

    assert [(box.kind, box.text, box.address) for box in graph.boxes] == [
        ("source", "pets.zip", "/jobs/1111-job"),
        ("dataset", "pets@1", "/datasets/pets/1"),
        ("started from", "pet-cnn@1", "/models/pet-cnn/1"),
        ("training", "0000-job", "/jobs/0000-job"),
        ("version", "pet-cnn@2", ""),
        ("90 % of", "production", "/serving/pet-cnn"),
    ]
    assert len(graph.paths) == 5


def test_the_lineage_of_a_version_whose_dataset_is_gone_has_no_link_to_it() -> None:
    graph = lineage_of(details(origin=None))

    assert graph.boxes[0][3:] == ("dataset, deleted", "pets@1", "pets@1", "", False)


def test_the_lineage_of_an_uploaded_model_is_its_upload() -> None:
    manifest = MODEL_MANIFEST.model_copy(update={"dataset": None, "lineage": None})

    graph = lineage_of(details(origin=None, manifest=manifest))

    assert [box.kind for box in graph.boxes] == ["upload", "version"]


def test_only_what_differs_is_compared() -> None:
    slower = MODEL_MANIFEST.model_copy(update={"serving": "int8", "parameters": 9})
    versions = [
        Compared(f"pet-cnn@{number}", "pet-cnn", number, WHEN, manifest)
        for number, manifest in enumerate((MODEL_MANIFEST, slower), 1)
    ]

    rows, equal = figures(versions)
    different, same = differences(versions)

    assert [row.name for row in rows] == ["Images a second", "Weights"]
    assert rows[0].values == ("–", "420")
    assert rows[0].best == (False, False)  # one number is no comparison
    assert "Accuracy" in equal
    assert [row.name for row in different] == ["Serving file"]
    assert "Trained on" in same


ROWS = [
    {"image": 0, "label": "cat", "predicted": "dog", "score": 0.6, "label_score": 0.4},
    {"image": 1, "label": "cat", "predicted": "dog", "score": 0.9, "label_score": 0.1},
    {"image": 2, "label": "cat", "predicted": "cat", "score": 0.8, "label_score": 0.8},
    {"image": 3, "label": "dog\u2028", "predicted": "cat", "score": 0.7, "label_score": 0.3},
    {"image": 4, "label": "cat", "error": "there is no answer for this image"},
]


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_cell_has_its_images_the_most_confident_first(form: str) -> None:
    objects = MemoryObjects()
    if form == "jsonl":
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
    else:
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([{"sha256": None, "path": None} | row for row in ROWS]), buffer)
        content = buffer.getvalue()
    file = objects.put(Bucket.JOBS, "rows", content)

    def numbers(label: str, predicted: str, limit: int = 10) -> tuple[list[int], int]:
        images, count = judged_images(objects, file, form, label, predicted, limit) or ((), -1)
        return [image.image for image in images], count

    assert numbers("cat", "dog") == ([1, 0], 2)
    assert numbers("cat", "dog", 1) == ([1], 2)
    assert numbers("dog\u2028", "cat") == ([3], 1)
    assert numbers("", "") == ([1, 3, 0], 3)
    assert numbers("dog", "") == ([1, 0], 2)  # what was taken for a dog, too
    assert numbers("dog\u2028", "") == ([3], 1)
