"""Names of images as files are unique on every system."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from media.file_names import FileNames


@pytest.mark.parametrize(
    ("images", "names"),
    [
        ([("cat", "a/1.jpg"), ("cat", "b/1.jpg"), ("cat", "c/2.jpg")], ["cat/1-0.jpg", "cat/1-1.jpg", "cat/2.jpg"]),
        (
            [("cat", "a/1.jpg"), ("cat", "b/1.jpg"), ("cat", "c/1-0.jpg")],
            ["cat/1-0-0.jpg", "cat/1-1.jpg", "cat/1-0.jpg"],
        ),
        ([("cat", r"a\\b.jpg"), ("cat", "a%5C%5Cb.jpg")], ["cat/a%5C%5Cb-0.jpg", "cat/a%5C%5Cb-1.jpg"]),
        ([("Cat", "1.jpg"), ("cat", "1.jpg"), ("Dog", "1.jpg")], ["%43at/1.jpg", "cat/1.jpg", "Dog/1.jpg"]),
        ([("a/b%", "1.jpg"), ("A/b%", "1.jpg")], ["a%2Fb%25/1.jpg", "%41%2Fb%25/1.jpg"]),
    ],
)
def test_names_are_unique_where_case_and_backslashes_do_not_count(
    images: list[tuple[str, str]], names: list[str]
) -> None:
    table = pa.table(
        {
            "split": ["train"] * len(images),
            "label": [label for label, _ in images],
            "path": [path for _, path in images],
        }
    )
    index = io.BytesIO()
    pq.write_table(table, index)

    assert list(FileNames(index).all(table)) == [f"train/{name}" for name in names]
