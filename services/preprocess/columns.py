"""Which columns of a table name the file, its class, its split and its group."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from contract.errors import BadDataset
from media.archives.rejections import shown
from services.preprocess.split_names import split_named
from services.preprocess.tables import Table, normalised_column

PATH = (
    *("path", "file", "file_name", "filename", "image", "image_id"),
    *("image_path", "img_path", "file_path", "filepath", "image_name", "img_name", "id"),
)
LABEL = ("label", "class", "target", "category", "labels", "class_name", "classname")
SPLIT = ("split",)
_SPLIT_IF_ALL = ("subset", "set", "data_set", "dataset", "partition", "usage")  # if all values are names of splits
_NO_SPLIT = "unassigned"  # as Google's AutoML writes
_ONES = frozenset({"1", "1.0", "true"})
_ZEROS = frozenset({"0", "0.0", "false", ""})
_SAMPLE_ROWS = 1000
_FEW_ROWS = 100
_SHOWN = 20


@dataclass(frozen=True)
class Row:
    """A row of a manifest; `split` and `group` may be empty. `fault` is why it is rejected, if it is."""

    path: str
    label: str
    split: str
    group: str = ""
    fault: str | None = None


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns of a table. Either `label` names the class, or one of `one_hot` is 1 in each row."""

    path: int
    label: int | None
    one_hot: dict[int, str]
    split: int | None
    group: int | None


@dataclass(frozen=True)
class ColumnNames:
    """The columns that the spec names, if any."""

    path: str | None = None
    label: str | None = None
    group: str | None = None


NO_NAMES = ColumnNames()


def find_columns(table: Table, names: ColumnNames = NO_NAMES, is_file: Callable[[str], bool] | None = None) -> Columns:
    """Return the columns of a manifest; raise BadDataset if the table is not one.

    Of several usual columns for the path, it is the first whose cells are mostly files, by `is_file`.
    """
    split, group = _split(table), _first(table, (normalised_column(names.group or ""),))
    path = _named(table, names.path) if names.path else _usual_path(table, is_file)
    label = _named(table, names.label) if names.label else _first(table, LABEL)
    one_hot = _one_hot(table, {path, split, group}) if path is not None and label is None else {}
    if path is None or (label is None and not one_hot):
        raise BadDataset(
            f"{shown(table.name)} needs the columns path,label or path,label,split in its first line "
            f"(for path also {', '.join(PATH[1:])}; for label also {', '.join(LABEL[1:])}; or a column for each class "
            "with one 1 in each row)"
        )
    return Columns(path, label, one_hot, split, group)


def _usual_path(table: Table, is_file: Callable[[str], bool] | None) -> int | None:
    paths = [table.columns.index(column) for column in PATH if column in table.columns]
    first = next(iter(paths), None)
    if is_file is None or len(paths) < 2:
        return first
    return next((column for column in paths if share_of_files(table, column, is_file) >= 0.5), first)


def share_of_files(table: Table, column: int, is_file: Callable[[str], bool]) -> float:
    """Return how many of the first rows name a file in a column, as a share."""
    rows = list(islice(table.rows(_FEW_ROWS + 1), _FEW_ROWS))
    return sum(is_file(_at(cells, column)) for cells in rows) / max(len(rows), 1)


def read_rows(table: Table, columns: Columns, most: int) -> Iterator[Row]:
    """Yield the rows of a manifest. Raise BadDataset if it cannot be read or has more than `most` rows."""
    for cells in table.rows(most):
        label, fault = (
            _hot_label(cells, columns.one_hot) if columns.label is None else (_at(cells, columns.label), None)
        )
        split = _at(cells, columns.split)
        if split.lower() == _NO_SPLIT:
            split = ""
        yield Row(_at(cells, columns.path), label, split, _at(cells, columns.group), fault)


def _first(table: Table, usual: tuple[str, ...]) -> int | None:
    return next((table.columns.index(column) for column in usual if column in table.columns), None)


def _named(table: Table, name: str) -> int:
    column = _first(table, (normalised_column(name),))
    if column is None:
        raise BadDataset(
            f"{shown(table.name)} has no column {shown(name)!r}; its columns are "
            f"{', '.join(map(shown, table.header[:_SHOWN]))}"
        )
    return column


def _split(table: Table) -> int | None:
    if (column := _first(table, SPLIT)) is not None or (column := _first(table, _SPLIT_IF_ALL)) is None:
        return column
    values = {_at(cells, column) for cells in islice(table.rows(_SAMPLE_ROWS + 1), _SAMPLE_ROWS)}
    return column if all(split_named(value) or value.lower() in ("", _NO_SPLIT) for value in values) else None


def _at(cells: list[str], column: int | None) -> str:
    return cells[column] if column is not None and column < len(cells) else ""


def _one_hot(table: Table, taken: set[int | None]) -> dict[int, str]:
    """Return the columns of ones and zeros with their classes, if there are several and most rows have one 1."""
    rows = list(islice(table.rows(_SAMPLE_ROWS + 1), _SAMPLE_ROWS))
    possible = {
        number: table.header[number]
        for number, column in enumerate(table.columns)
        if number not in taken and column and all(_at(cells, number).lower() in _ONES | _ZEROS for cells in rows)
    }
    hot = {number: name for number, name in possible.items() if any(_is_one(cells, number) for cells in rows)}
    good = sum(_hot_label(cells, possible)[1] is None for cells in rows)
    return possible if len(possible) > 1 and len(hot) > 0 and 2 * good >= len(rows) else {}


def _hot_label(cells: list[str], one_hot: dict[int, str]) -> tuple[str, str | None]:
    ones = [name for number, name in one_hot.items() if _is_one(cells, number)]
    if len(ones) == 1:
        return ones[0], None
    return "", f"its row has a 1 in {len(ones) or 'none'} of the label columns; exactly one must be 1"


def _is_one(cells: list[str], column: int) -> bool:
    return _at(cells, column).lower() in _ONES
