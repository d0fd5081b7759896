"""A CSV manifest is found and read, or rejected with what to change."""

import pytest

from contract.errors import BadDataset
from services.preprocess.columns import PATH, ColumnNames, Row, find_columns, read_rows
from services.preprocess.tables import read_table


def read(text: str | bytes, most: int = 100, name: str = "labels.csv", group_by: str | None = None) -> list[Row]:
    table = read_table(name, text if isinstance(text, bytes) else text.encode(), None, PATH)
    return list(read_rows(table, find_columns(table, ColumnNames(group=group_by)), most))


@pytest.mark.parametrize(
    "path", ["path", "file", "file_name", "filename", "File Name", "file-name", "image", "image_id", "ID"]
)
@pytest.mark.parametrize("label", ["label", "class", "Target", "category"])
def test_columns_have_any_usual_name(path: str, label: str) -> None:
    assert read(f"x,{label},{path},split\n0,cat,1.png,train\n") == [Row("1.png", "cat", "train")]


def test_of_several_usual_columns_the_plainest_is_used() -> None:
    assert read("id,path,class,label\n7,1.png,3,cat\n") == [Row("1.png", "cat", "")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("first", ["", "sep={}\n"])
def test_spreadsheets_write_many_kinds_of_csv(delimiter: str, end: str, mark: bytes, first: str) -> None:
    lines = ["path|label", "a.png|cat", 'b.png|"dog"', 'c.png| "a|b"']
    text = first.format(delimiter) + "".join(line.replace("|", delimiter) + end for line in lines)

    labels = [row.label for row in read(mark + text.encode())]

    assert labels == ["cat", "dog", f"a{delimiter}b"]


@pytest.mark.parametrize("cell", ["cat", " cat", "cat ", ' "cat"', '"cat" ', '" cat "', "\u00a0cat"])
def test_labels_have_no_quotes_or_spaces_around_them(cell: str) -> None:
    assert read(f"path,label\n1.png,{cell}\n") == [Row("1.png", "cat", "")]


def test_rows_may_have_a_split() -> None:
    assert read("path,label,split\n1.png,cat,train\n2.png, dog ,\n") == [
        Row("1.png", "cat", "train"),
        Row("2.png", "dog", ""),
    ]


def test_rows_may_have_no_split() -> None:
    assert read("path,label\n1.png,cat\n") == [Row("1.png", "cat", "")]


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    assert read(b"\xef\xbb\xbfpath,label\r\n1.png,caf\xc3\xa9\r\n") == [Row("1.png", "café", "")]


def test_columns_are_found_by_name() -> None:
    assert read('id, Label ,PATH\n7,"a, b",1.png\n') == [Row("1.png", "a, b", "")]


def test_missing_cells_are_empty_and_empty_rows_are_skipped() -> None:
    assert read("path,label\n1.png\n\n2.png,cat\n") == [Row("1.png", "", ""), Row("2.png", "cat", "")]


@pytest.mark.parametrize("text", ["", "\n", "1.png,cat\n", "path|label\n1.png|cat\n", "filepaths,labels\n"])
def test_a_header_is_required(text: str) -> None:
    with pytest.raises(BadDataset, match=r"labels\.csv needs the columns path,label"):
        read(text)


def test_a_huge_cell_is_rejected() -> None:
    with pytest.raises(BadDataset, match="not a readable CSV"):
        read("path,label\n1.png," + "x" * 200_000)


def test_the_number_of_rows_is_limited() -> None:
    assert len(read("path,label\n" + "a,b\n" * 3, most=3)) == 3
    with pytest.raises(BadDataset, match="over 3 rows"):
        read("path,label\n" + "a,b\n" * 4, most=3)
