"""The images that a grid shows: some of every class, or those that a warning is about."""

import hashlib

import pyarrow as pa
import pytest

from contract.datasets import DatasetWarning, Split
from contract.errors import Invalid
from media.image_index import PLACE, IndexWriter
from media.warned_images import names_images, sample, warned_page

ROWS = [  # content, split, label
    ("a", "train", "cat"),
    ("b", "train", "cat"),
    ("a", "train", "cat"),
    ("c", "train", "dog"),
    ("d", "train", "newt"),
    ("b", "val", "dog"),
    ("e", "test", "cat"),
    ("c", "test", "dog"),
]


def table(rows):
    count = len(rows)
    contents, splits, labels = zip(*rows, strict=True)
    numbers = list(range(count))
    return pa.table(
        {
            "sha256": [hashlib.sha256(content.encode()).digest() for content in contents],
            "path": [f"{label}/{number}.png" for number, label in enumerate(labels)],
            **{"split": splits, "label": labels, "width": [1] * count, "height": [1] * count},
            **{"shard": [0] * count, "row": numbers, "member": [""] * count},
            "average_hash": pa.array(numbers, pa.uint64()),
            "difference_hash": pa.array(numbers, pa.uint64()),
            **{field.name: pa.nulls(count) for field in PLACE},
        }
    )


@pytest.fixture
def index(tmp_path):
    path = tmp_path / "index.parquet"
    with IndexWriter(path) as writer:
        writer.add(table(ROWS))
    return path


def warning(code, *examples):
    return DatasetWarning(code=code, message="", count=1, examples=examples, advice="")


def contents(images):
    names = {hashlib.sha256(content.encode()).hexdigest(): content for content, *_ in ROWS}
    return "".join(names[image.sha256] for image in images)


def test_a_sample_has_images_of_every_class(index, tmp_path):
    images = sample(index, 4)
    assert {image.label for image in images} == {"cat", "dog", "newt"}
    assert contents(images) == "abcd"  # the first of each class, then the second of the first
    assert len(sample(index, 100)) == len(ROWS)


def test_a_sample_of_many_classes_is_of_evenly_spaced_ones(tmp_path):
    with IndexWriter(tmp_path / "many.parquet") as writer:
        writer.add(table([(str(number), "train", f"{number % 100:03}") for number in range(1000)]))

    labels = [image.label for image in sample(tmp_path / "many.parquet", 5)]

    assert labels == ["000", "024", "049", "074", "099"]


def test_the_images_of_a_warning_lie_beside_their_copies(index):
    assert contents(warned_page(index, warning("duplicate_images"), 10).items) == "aabbcc"
    assert contents(warned_page(index, warning("images_in_several_splits"), 10).items) == "bbcc"
    assert contents(warned_page(index, warning("images_with_several_labels"), 10).items) == "bb"
    assert contents(warned_page(index, warning("repaired_images", "cat/1.png", "dog/5.png"), 10).items) == "bb"
    assert contents(warned_page(index, warning("one_image_classes", "newt"), 10).items) == "d"


def test_pages_of_a_warning_are_filtered_by_split_and_class(index):
    duplicates = warning("duplicate_images")
    first = warned_page(index, duplicates, 4)
    assert (first.total, contents(first.items), first.next) == (6, "aabb", "4")
    assert (contents(warned_page(index, duplicates, 4, "4").items), first.items[0].split) == ("cc", Split.TRAIN)
    assert contents(warned_page(index, duplicates, 4, None, Split.TRAIN, "cat").items) == "aab"
    with pytest.raises(Invalid):
        warned_page(index, duplicates, 4, "x")


def test_a_warning_about_files_that_are_not_in_the_version_names_no_images():
    assert not names_images(warning("ignored_files", "a.txt"))
    assert not names_images(warning("similar_class_names", "cat = Cat"))
