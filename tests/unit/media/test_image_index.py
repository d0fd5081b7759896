import hashlib
import io

import pyarrow as pa
import pytest

from contract.datasets import Split
from contract.errors import Invalid
from media import image_index
from media.image_index import SCHEMA, IndexWriter, find_images, index_page, read_index


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def rows(split, labels, shard=0):
    count = len(labels)
    return pa.table(
        {
            "sha256": [digest(f"{split}{shard}{number % 90}") for number in range(count)],
            "path": [f"{label}/{number}.png" for number, label in enumerate(labels)],
            "split": [split] * count,
            "label": labels,
            "width": [32] * count,
            "height": [20] * count,
            "shard": [shard] * count,
            "row": list(range(count)),
            "average_hash": pa.array([2**64 - 1] * count, pa.uint64()),
            "difference_hash": pa.array([10] * count, pa.uint64()),
            "member": [f"top/{label}/{number}.png" for number, label in enumerate(labels)],
        }
    )


@pytest.fixture
def index(tmp_path, monkeypatch):
    monkeypatch.setattr(image_index, "GROUP_ROWS", 16)
    path = tmp_path / "index.parquet"
    with IndexWriter(path) as writer:
        writer.add(rows("train", ["cat"] * 60 + ["dog"] * 40))
        writer.add(rows("train", ["newt"] * 5, shard=1))
        writer.add(rows("test", ["cat", "dog"]))
    return path


def test_the_rows_come_back_in_order_with_the_schema(index):
    table = read_index(index)
    assert table.schema.names == SCHEMA.names
    assert len(table) == 107
    assert table["split"].to_pylist()[-3:] == ["train", "test", "test"]
    assert len(read_index(index, ["label"], Split.TEST)) == 2


def test_pages_give_each_image_once(index):
    cursor, paths = None, []
    while True:
        page = index_page(index, 7, cursor)
        paths += [(image.split, image.path) for image in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert len(paths) == len(set(paths)) == 107


def test_a_page_can_be_of_a_split_and_a_class(index):
    page = index_page(index, 30, None, Split.TRAIN, "dog")
    assert {image.label for image in page.items} == {"dog"}
    rest = index_page(index, 30, page.next, Split.TRAIN, "dog")
    assert (len(rest.items), rest.next) == (10, None)
    assert index_page(index, 5, None, Split.VAL).items == ()
    assert index_page(index, 5, None, None, "no such class").items == ()


def test_a_page_that_ends_with_the_last_image_has_no_next(index):
    assert index_page(index, 2, None, Split.TEST).next is None


def test_a_foreign_cursor_is_invalid(index):
    with pytest.raises(Invalid):
        index_page(index, 2, "x7")


def test_an_image_is_found_by_its_hash_with_all_duplicates(index):
    matches = find_images(index, digest("train03").hex())
    assert [(image.path, member) for image, member in matches] == [
        ("cat/3.png", "top/cat/3.png"),
        ("dog/93.png", "top/dog/93.png"),
    ]
    image = matches[0][0]
    assert (image.width, image.height, image.average_hash, image.difference_hash) == (32, 20, "f" * 16, "0" * 15 + "a")
    assert find_images(index, digest("other").hex()) == ()


def test_an_open_file_serves_as_well(index):
    assert len(index_page(io.BytesIO(index.read_bytes()), 3).items) == 3
